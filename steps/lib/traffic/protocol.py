"""What a traffic tool must do: say its commands, mark its window, read its own record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from steps.lib.models import Traffic


class DocumentError(Exception):
    """The tool's output is not exactly one complete document. The message says what is wrong.

    Not part of the error tree: it never leaves ``measure``, which stores an `invalid` row.
    """


class VersionError(DocumentError):
    """The output is of another version than the pinned one: its fields may mean something else."""


@dataclass(frozen=True)
class Interval:
    """One interval of a run, inside the measured window; ``t_rel_s`` counts from its start."""

    t_rel_s: float
    duration_s: float
    bits_per_s: float | None = None
    retransmits: int | None = None
    transactions_per_s: float | None = None


@dataclass(frozen=True)
class Bucket:
    """Transactions that took at least ``low_us`` and less than ``high_us``, in the whole window."""

    low_us: float
    high_us: float
    transactions: int


@dataclass(frozen=True)
class ToolRecord:
    """What the tool says it did: the row is made from this, never from the request.

    ``effective`` holds every parameter under the names of ``asked``, so that the gate can compare
    them one by one, and some that were not asked (ports, socket buffers) as evidence.
    ``started_utc_s`` is the document's date, in seconds since 1970 by the client's clock.
    ``metrics`` are columns of the measurements table. ``client_address_at_server`` is what the
    server saw as its peer: it differs from ``client_address`` where the path translates addresses.
    ``received_intervals`` are the receiver's own, where it counts any. ``histogram`` has the same
    edges in every run of a tool, so that those of several runs add up.
    """

    tool: str
    version: str
    effective: Mapping[str, str | int | float | None]
    metrics: Mapping[str, float | int | None]
    intervals: tuple[Interval, ...]
    duration_s: float
    client_address: str | None
    server_address: str | None
    mss_bytes: int | None = None
    congestion_control: str | None = None
    receiver_side: bool = field(default=False)
    client_address_at_server: str | None = None
    started_utc_s: float | None = None
    histogram: tuple[Bucket, ...] = ()
    received_intervals: tuple[Interval, ...] = ()


Boundary = Literal["window-start", "window-end"]


@dataclass(frozen=True)
class Due:
    """A boundary that comes so long after the line before, should no line tell of it."""

    boundary: Boundary
    after_s: float


class Clock(Protocol):
    """Watches a client's output while it runs: the tool's own reports are the clock of the window.

    The caller feeds each line as soon as it comes and reads its counters at once when told to, and
    when a boundary is due.
    """

    due: Due | None = None
    """After each line: what comes next even if the tool does not say so."""

    def feed(self, line: bytes) -> Boundary | None:
        """Whether this line opens or closes the measured window; each boundary comes once.

        Never raises: whether the output is good is for ``parse`` to say. A run that breaks off
        gives no ``window-end``.
        """


def family_option(traffic: Traffic) -> str:
    """As ping, iperf3 and netperf are told of the address family."""
    return {"ipv4": "-4", "ipv6": "-6"}[traffic.family]


class Tool(Protocol):
    """One traffic tool."""

    name: str
    version: str  # the pinned one
    kinds: tuple[str, ...]  # of traffic that it makes
    version_command: tuple[str, ...] | None  # None: the tool's record carries its version

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port the server listens on; the first one tells that it is ready."""

    def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """Command of the server; it serves one client.

        What is answered to a datagram comes from this address of its own: a host with several would
        answer from another one than was asked, and the client not take it.
        """

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """Command of the client, with every parameter explicit."""

    def end_signal(self, traffic: Traffic) -> int | None:
        """What tells the server that its client is done, where it would else wait for a timer."""

    def clock(self, traffic: Traffic) -> Clock:
        """A fresh watcher of one run's output."""

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        """Read the whole output; DocumentError if it is not one complete document.

        The request is not an argument, so nothing of it can end up in the record. ``output`` is
        what came, byte by byte: decoding it is part of the check. ``version_output`` is what
        ``version_command`` printed, where the tool has one.
        """
