"""The parts of iperf3's document, as far as they are used. Seen with version 3.18.

``start``, ``interval`` and ``end`` are the client's; ``server_output_json`` is the server's own
document (``--get-server-output``), of the same parts.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(ge=0)]

INTERVAL_S = 1.0
"""What clients are asked for (``--interval``); a server's are as long."""


class Part(BaseModel):
    """A part of the document. Strict: a number in quotes is not a number. Other keys are let be."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Connection(Part):
    """One data connection, as the document's author sees it."""

    local_host: str
    remote_host: str
    remote_port: int


class Peer(Part):
    """Whom the client dialled, or whom the server accepted."""

    host: str
    port: int


class TestStart(Part):
    """The parameters in force. ``target_bitrate`` is bit/s of *each* stream, 0 is no limit."""

    __test__ = False  # pytest would take the name for a test class

    protocol: Literal["TCP", "UDP"]
    num_streams: Annotated[int, Field(ge=1)]
    blksize: Count
    omit: Count
    duration: Annotated[int, Field(ge=1)]
    reverse: Literal[0, 1]
    bidir: Literal[0, 1]
    target_bitrate: Count


class Timestamp(Part):
    """When the test began, in whole seconds since 1970."""

    timesecs: Count


class Start(Part):
    """The ``start`` of either document; only the client's says whom it dialled."""

    connected: list[Connection]
    version: str
    cookie: str
    timestamp: Timestamp
    sndbuf_actual: Count
    rcvbuf_actual: Count
    test_start: TestStart
    tcp_mss_default: Count | None = None
    connecting_to: Peer | None = None
    accepted_connection: Peer | None = None


class IntervalSum(Part):
    """All streams over one interval, as the document's author counts them."""

    start: Number
    end: Number
    seconds: Number
    bytes: Count
    bits_per_second: Number
    omitted: bool
    sender: bool
    retransmits: Count | None = None

    @property
    def is_unreported_omission(self) -> bool:
        """Whether it claims to have begun before the omission's end; see ``measured``."""
        return not self.omitted and self.seconds > self.end + INTERVAL_S / 2


class IntervalStream(Part):
    """One stream at the end of an interval. ``rtt`` is the kernel's, in us; of TCP senders only."""

    rtt: Count | None = None


class IntervalReport(Part):
    """One ``interval``."""

    streams: list[IntervalStream]
    sum: IntervalSum
    sum_bidir_reverse: IntervalSum | None = None


class Sum(Part):
    """All streams over the measured window, seen from one side. Datagram counts are of UDP only."""

    seconds: Annotated[float, Field(gt=0)]
    bytes: Count
    bits_per_second: Number
    retransmits: Count | None = None
    packets: Count | None = None
    lost_packets: Count | None = None
    jitter_ms: Number | None = None


class UdpStreamEnd(Part):
    """One UDP stream. ``out_of_order`` is true in the receiver's document only, 0 in the other."""

    out_of_order: Count


class StreamEnd(Part):
    """One stream at the end."""

    udp: UdpStreamEnd | None = None


class End(Part):
    """The ``end``. There is also ``sum``, which mixes the sender's bytes with other's seconds."""

    streams: list[StreamEnd]
    sum_sent: Sum
    sum_received: Sum
    sum_sent_bidir_reverse: Sum | None = None
    sum_received_bidir_reverse: Sum | None = None
    sender_tcp_congestion: str | None = None


class Side(Part):
    """A run as one side tells it."""

    start: Start
    intervals: list[IntervalReport]
    end: End

    @property
    def measured(self) -> list[IntervalSum]:
        """The intervals after the omitted ones, each from when it began.

        Where two seconds or more are omitted, the timers of the omission and of its last interval
        are due in the same microsecond in four runs of ten (``benchmarks.omission``), and the
        omission's goes first: that interval is not reported, and the first measured one says that
        it began with it. Its bytes are those since the omission alone; so is its end.
        """
        sums = [i.sum for i in self.intervals if not i.sum.omitted]
        return [_from_omission(s) if s.is_unreported_omission else s for s in sums]


def _from_omission(told: IntervalSum) -> IntervalSum:
    rate = told.bytes * 8 / told.end if told.end else 0.0
    return told.model_copy(update={"start": 0.0, "seconds": told.end, "bits_per_second": rate})


class ServerDocument(Side):
    """What the server itself wrote, a second opinion."""


class Document(Side):
    """A whole run, as the client tells it."""

    server_output_json: ServerDocument

    @property
    def reverse(self) -> bool:
        """Whether the server sent."""
        return self.start.test_start.reverse == 1

    @property
    def bidirectional(self) -> bool:
        """Whether both sent at once, each on connections of their own."""
        return self.start.test_start.bidir == 1

    @property
    def direction(self) -> str:
        """As a cell says it."""
        return "both" if self.bidirectional else "reverse" if self.reverse else "forward"

    @property
    def sender(self) -> "ServerDocument | Document":
        """The document of the side that sent."""
        return self.server_output_json if self.reverse else self

    @property
    def receiver(self) -> "ServerDocument | Document":
        """The document of the side that received."""
        return self if self.reverse else self.server_output_json
