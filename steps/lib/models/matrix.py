"""A matrix: which traffic runs over which paths, and under which limits a number counts."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import CELL_ID_LENGTH_MAX, FieldError, Model, Name
from steps.lib.models.http import Http
from steps.lib.models.no_drop import NoDropSearch
from steps.lib.models.path import PathName
from steps.lib.models.timed import UDP_PAYLOAD_BYTES_MAX, Timed, check_shares

Direction = Literal["forward", "reverse", "both"]


class Stream(Timed):
    """Bulk data in one direction, or in both at once (iperf3)."""

    streams: int = Field(default=1, ge=1, le=128)
    pairs: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Pairs of pods that do so at once, each with that many streams",
    )
    message_bytes: int = Field(ge=16, le=1 << 20, description="Size of one write or datagram")
    direction: Direction = Field(
        default="forward",
        description="Who sends: the client, the server, or both at once, each on `streams` "
        "connections of their own; each direction's goodput is a column of its own",
    )
    omit_s: int = Field(ge=0, le=60, description="Seconds of slow start left out")
    rate_bits_per_s: int | None = Field(
        default=None, ge=10_000, description="Of all streams; null: as fast as they go"
    )

    @model_validator(mode="after")
    def _each_stream_can_have_its_share(self) -> Self:
        check_shares(self.rate_bits_per_s, self.streams)
        if self.direction == "both" and self.pairs > 1:
            raise FieldError("'both' is for one pair; write `forward` and `reverse`", "direction")
        return self


OF_THE_NODE = "node"
"""As ``congestion_control``: not the cell's choice. It has to be said, since a machine's default is
often not what one believes."""


class TcpStream(Stream):
    """TCP throughput."""

    kind: Literal["tcp-stream"]
    congestion_control: str = Field(
        pattern=r"^[a-z0-9_]+$",
        description="By its kernel name; `node` for the nodes' own, which a profile may set",
    )

    @property
    def chosen_congestion_control(self) -> str | None:
        """What the tool is told to use; None for the nodes' default."""
        return None if self.congestion_control == OF_THE_NODE else self.congestion_control

    @property
    def protocol(self) -> Literal["tcp"]:
        """Transport protocol."""
        return "tcp"


class UdpStream(Stream):
    """UDP goodput at a stated rate."""

    kind: Literal["udp-stream"]
    rate_bits_per_s: int = Field(
        ge=10_000,
        description="Offered rate of all streams; iperf3 alone would take 1 Mbit/s a stream",
    )

    @model_validator(mode="after")
    def _its_messages_fit_a_datagram(self) -> Self:
        if self.direction == "both":
            raise FieldError(
                "'both' is for tcp-stream only: of UDP in both directions iperf3 does not tell "
                "what the client received; write `forward` and `reverse` as two cells",
                "direction",
            )
        if self.message_bytes > UDP_PAYLOAD_BYTES_MAX:
            raise ValueError(
                f"message_bytes {self.message_bytes} does not fit a datagram; "
                f"write at most {UDP_PAYLOAD_BYTES_MAX}"
            )
        return self

    @property
    def protocol(self) -> Literal["udp"]:
        """Transport protocol."""
        return "udp"


class Transactions(Timed):
    """One transaction after the other: request, response.

    ``tcp-rr`` and ``udp-rr`` keep one socket; ``tcp-crr`` opens a connection for each transaction.
    """

    kind: Literal["tcp-rr", "tcp-crr", "udp-rr"]
    tool: Literal["netperf", "transact"] = Field(
        default="netperf",
        description="netperf, which published data was made with; or transact, which gives whole "
        "distributions, leaves out a warm-up, paces requests, and has `udp-rr`",
    )
    request_bytes: int = Field(ge=1, le=UDP_PAYLOAD_BYTES_MAX)
    response_bytes: int = Field(ge=1, le=UDP_PAYLOAD_BYTES_MAX)
    omit_s: int = Field(default=0, ge=0, le=60, description="Seconds left out at the start")
    rate_per_s: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Requests a second, each timed from when it was due; null: as fast as answered",
    )

    @model_validator(mode="after")
    def _the_tool_can_do_it(self) -> Self:
        wanted = {
            "kind": self.kind == "udp-rr",
            "omit_s": self.omit_s > 0,
            "rate_per_s": self.rate_per_s is not None,
        }
        for name, is_more in wanted.items():
            if self.tool == "netperf" and is_more:
                value = getattr(self, name)
                raise FieldError(f"{value!r} is not for netperf; write `tool: transact`", name)
        return self

    @property
    def protocol(self) -> Literal["tcp", "udp"]:
        """Transport protocol."""
        return "udp" if self.kind == "udp-rr" else "tcp"


def datagram_sizes(traffic: "Traffic") -> dict[str, int]:
    """Bytes of the datagrams that traffic sends, by the field that says so; none for TCP."""
    if traffic.protocol == "tcp":
        return {}
    is_stream = not isinstance(traffic, Transactions)
    names = ("message_bytes",) if is_stream else ("request_bytes", "response_bytes")
    return {name: getattr(traffic, name) for name in names}


Traffic = Annotated[
    TcpStream | UdpStream | NoDropSearch | Transactions | Http, Field(discriminator="kind")
]


class Limits(Model):
    """Noise limits of a cell: declared before the first run and stored with each row.

    They select on the state of the machine, never on the result (measurement method, section 6).
    """

    steal_percent_max: float = Field(
        default=2.0, gt=0, description="Time the hypervisor took, of all CPUs over the window"
    )
    foreign_cpu_percent_max: float = Field(
        default=10.0, gt=0, description="CPU of processes that are not ours, of all CPUs"
    )
    foreign_wire_bits_per_s_max: float = Field(
        default=10e6,
        gt=0,
        description="What nodes' uplinks carry beyond the payload and 15 % of it, each direction",
    )
    busy_percent_max_before_start: float = Field(
        default=25.0, gt=0, description="A cell waits until the machine is less busy than this"
    )
    attempts_max: int = Field(default=4, ge=1, le=20, description="Tries before a slot is `noisy`")
    drift_percent_max: float = Field(
        default=25.0, gt=0, description="Reference at the block's end against its start"
    )


class Cell(Model):
    """One path with one traffic: what one measurement measures."""

    path: PathName
    traffic: Traffic

    @cached_property
    def id(self) -> str:
        """``<path>.<traffic id>``, at most 63 characters, valid as an Argo display name."""
        return f"{self.path}.{self.traffic.id}"

    @cached_property
    def columns(self) -> dict[str, str | int | float | None]:
        """The cell's identity as columns of the result tables; null where it has no meaning."""
        traffic = self.traffic
        stream = traffic if isinstance(traffic, Stream) else None
        search = traffic if isinstance(traffic, NoDropSearch) else None
        bulk = stream or search
        transactions = traffic if isinstance(traffic, Transactions) else None
        http = traffic if isinstance(traffic, Http) else None
        answered = transactions or http
        return {
            "path": self.path,
            "traffic": traffic.kind,
            "family": traffic.family,
            "protocol": traffic.protocol,
            "direction": bulk.direction if bulk else None,
            "streams": bulk.streams if bulk else http.connections if http else 1,
            "message_bytes": bulk.message_bytes if bulk else None,
            "request_bytes": transactions.request_bytes if transactions else None,
            "response_bytes": answered.response_bytes if answered else None,
            "requests_in_flight": http.requests_in_flight if http else None,
            "offered_bits_per_s": stream.rate_bits_per_s if stream else None,
            "offered_transactions_per_s": transactions.rate_per_s if transactions else None,
            "scale_services": traffic.scale.services if traffic.scale else 0,
            "scale_endpoints": (
                traffic.scale.services * traffic.scale.endpoints_each if traffic.scale else 0
            ),
            "scale_pods": traffic.scale.pods if traffic.scale else 0,
            "policy": traffic.policy.kind if traffic.policy else None,
            "policy_rules": traffic.policy.rules if traffic.policy else 0,
            "loss_percent_max": search.loss_percent_max if search else None,
            "duration_s_asked": traffic.duration_s,
            "omit_s": traffic.omit_s,
            "pairs": stream.pairs if stream else 1,
            "load_streams": traffic.load.streams if traffic.load else 0,
            "load_offered_bits_per_s": traffic.load.rate_bits_per_s if traffic.load else None,
        }


class Matrix(Model):
    """A named list of cells: each traffic over each of its paths."""

    name: Name
    title: str
    description: str
    paths: tuple[PathName, ...] = Field(min_length=1)
    traffic: tuple[Traffic, ...] = Field(min_length=1)
    reference: Traffic | None = Field(
        default=None,
        description="Runs host to host at the start and the end of each block, to show drift",
    )
    cpu_sampling_hz: int = Field(
        default=99,
        ge=0,
        le=1000,
        description="Samples of each CPU a second that share its work among components; 0 = none",
    )
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _policies_are_around_what_they_are_proven_for(self) -> Self:
        for index, traffic in enumerate(self.traffic):
            alone = traffic.load is None and getattr(traffic, "pairs", 1) == 1
            if traffic.policy and not (alone and traffic.protocol == "tcp"):
                raise FieldError(
                    "is proven by connecting, and for one client; write it for TCP traffic without "
                    "`load` and `pairs`",
                    "traffic",
                    index,
                    "policy",
                )
        return self

    @model_validator(mode="after")
    def _cell_ids_are_unique_and_short(self) -> Self:
        seen: set[str] = set()
        for index, traffic in enumerate(self.traffic):
            for cell in (Cell(path=p, traffic=traffic) for p in traffic.paths or self.paths):
                where = ("traffic", index, "id")
                if cell.id in seen:
                    raise FieldError(
                        f"cell id {cell.id!r} occurs twice; give each traffic its own `id`, and "
                        "name each path once",
                        *where,
                    )
                if len(cell.id) > CELL_ID_LENGTH_MAX:
                    raise FieldError(
                        f"cell id {cell.id!r} has {len(cell.id)} characters, of which "
                        f"{CELL_ID_LENGTH_MAX} fit an Argo display name; shorten the `id`",
                        *where,
                    )
                seen.add(cell.id)
        return self

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order of the file; the planner shuffles them."""
        return tuple(
            Cell(path=path, traffic=traffic)
            for traffic in self.traffic
            for path in (traffic.paths or self.paths)
        )
