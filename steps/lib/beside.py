"""What runs beside a cell's own client and server: a load between the same two, and more pairs.

Each is a bulk test of its own (iperf3), begun before the cell's own client and ended after it, so
that it covers the measured window; what it received is counted by its receiver, second by second.
"""

import math
import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from steps.lib.models import Load, TcpStream, Traffic, UdpStream
from steps.lib.plan import beside_time_s, run_time_s
from steps.lib.reading import Ends, Window
from steps.lib.targets.protocol import Process, Target
from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.protocol import DocumentError, ToolRecord

FIRST_PORT = 30600
"""Of the companions, one each; published as NodePorts too, where the path has those."""

STREAMS_EACH_MAX = 128
"""What one iperf3 takes."""

LISTEN_TIMEOUT_S = 10.0
FLOWS_TIMEOUT_S = 15.0
END_TIMEOUT_S = 15.0
END_GRACE_S = 1.0

Role = Literal["load", "pair"]


@dataclass(frozen=True)
class Companion:
    """One client and one server that run beside the cell's own.

    ``client_group`` and ``server_group`` are the groups that their CPU is counted under.
    """

    role: Role
    traffic: TcpStream | UdpStream
    tool: Iperf3
    ends: Ends
    client_group: str
    server_group: str


@dataclass
class Ran:
    """What became of one companion. ``began_s`` is UTC, in seconds since 1970."""

    companion: Companion
    command: str
    output: bytearray = field(default_factory=bytearray)
    stderr: bytes = b""
    began_s: float | None = None
    record: ToolRecord | None = None
    error: DocumentError | None = None
    seen: threading.Event = field(default_factory=threading.Event)

    def received(self, window: Window) -> "Received":
        """What its receiver got in a window of time: of seconds that the window cuts, a share."""
        if self.record is None or self.began_s is None:
            return Received(0.0, 0.0, 0)
        first_s, last_s = window.first.at.timestamp(), window.last.at.timestamp()
        bits = covered_s = 0.0
        silent = 0
        for part in self.record.received_intervals:
            begins_s = self.began_s + part.t_rel_s
            inside_s = min(begins_s + part.duration_s, last_s) - max(begins_s, first_s)
            if inside_s > 0:
                bits += float(part.bits_per_s or 0) * inside_s
                covered_s += inside_s
                silent += not part.bits_per_s and part.duration_s > 0.5
        rate = bits / covered_s if covered_s else 0.0
        return Received(rate, covered_s / max(last_s - first_s, 1e-9), silent)


@dataclass(frozen=True)
class Received:
    """By one companion: ``covered`` is the share of the window that it ran in.

    ``silent`` counts its seconds in which nothing came.
    """

    bits_per_s: float
    covered: float
    silent: int


def load_count(traffic: Traffic) -> int:
    """How many processes the load takes."""
    return math.ceil(traffic.load.streams / STREAMS_EACH_MAX) if traffic.load else 0


def load_groups(traffic: Traffic) -> tuple[str, ...]:
    """Groups that the load's processes run in, in the endpoints of the cell."""
    return tuple(f"load-{number}" for number in range(1, load_count(traffic) + 1))


def load_ports(traffic: Traffic) -> tuple[int, ...]:
    """Ports that the load's servers listen on."""
    return tuple(FIRST_PORT + number for number in range(load_count(traffic)))


def pair_port(traffic: Traffic, number: int) -> int:
    """Port of the server of the n-th pair; the first pair is the cell's own."""
    return FIRST_PORT + load_count(traffic) + number - 2


def loads(traffic: Traffic, ends: Ends) -> list[Companion]:
    """The load's processes, between the cell's own ends."""
    if traffic.load is None:
        return []
    shares = _shares(traffic.load, load_count(traffic))
    lasting_s = math.ceil(run_time_s(traffic) + beside_time_s(traffic))
    return [
        Companion("load", _bulk(traffic.load, streams, lasting_s), Iperf3(port), ends, group, group)
        for streams, port, group in zip(
            shares, load_ports(traffic), load_groups(traffic), strict=True
        )
    ]


def pair(traffic: TcpStream | UdpStream, number: int, ends: Ends) -> Companion:
    """One more pair with the cell's own traffic, only that it runs longer."""
    lasting_s = math.ceil(run_time_s(traffic) + beside_time_s(traffic))
    longer = traffic.model_copy(
        update={"duration_s": lasting_s, "omit_s": 0, "pairs": 1, "load": None}
    )
    return Companion("pair", longer, Iperf3(pair_port(traffic, number)), ends, "client", "server")


def _shares(load: Load, processes: int) -> list[int]:
    """Streams of each process, about as many in each."""
    return [len(range(first, load.streams, processes)) for first in range(processes)]


def _bulk(load: Load, streams: int, lasting_s: int) -> TcpStream:
    rate = load.rate_bits_per_s
    return TcpStream.model_construct(
        id="load",
        kind="tcp-stream",
        streams=streams,
        message_bytes=load.message_bytes,
        direction=load.direction,
        congestion_control=load.congestion_control,
        rate_bits_per_s=None if rate is None else rate // load.streams * streams,
        duration_s=lasting_s,
        omit_s=0,
    )


@contextmanager
def running(target: Target, companions: Sequence[Companion]) -> Iterator[list[Ran]]:
    """Have them run from before the block until after it; their records are there afterwards.

    The block begins when each has had its first second, or has ended, which is for a gate to say.
    """
    with ExitStack() as stack:
        for each in companions:
            command = each.tool.server_command(each.traffic, each.ends.own_address)
            server = target.start(each.ends.server, command, each.server_group)
            stack.callback(server.stop, 0.0)
        for each in companions:
            target.wait_listening(
                each.ends.server, each.tool.ports[0], "tcp", LISTEN_TIMEOUT_S, each.server_group
            )
        ran = [_started(target, each, stack) for each in companions]
        for one, _, _ in ran:
            one.seen.wait(FLOWS_TIMEOUT_S)
        yield [one for one, _, _ in ran]
        for one, client, reader in ran:
            reader.join(END_TIMEOUT_S)
            _, one.stderr = client.stop(END_GRACE_S)
            reader.join(END_TIMEOUT_S)
            _parse(one)


def _started(
    target: Target, each: Companion, stack: ExitStack
) -> tuple[Ran, Process, threading.Thread]:
    command = each.tool.client_command(each.traffic, each.ends.address)
    client = target.start(each.ends.client, command, each.client_group)
    stack.callback(client.stop, 0.0)
    ran = Ran(each, shlex.join(client.command))
    reader = threading.Thread(target=_read, args=(ran, client), daemon=True)
    reader.start()
    return ran, client, reader


def _read(ran: Ran, client: Process) -> None:
    """Keep what the client says; its first interval tells when it began."""
    for line in client.stdout:
        if ran.began_s is None and line.startswith(b'{"event":"interval"'):
            ran.began_s = datetime.now(UTC).timestamp() - 1.0
            ran.seen.set()
        ran.output += line
    ran.seen.set()


def _parse(ran: Ran) -> None:
    try:
        ran.record = ran.companion.tool.parse(bytes(ran.output))
    except DocumentError as error:
        said = ran.stderr.decode("utf-8", "replace").strip()[-200:]
        ran.error = type(error)(f"{error}{f' (stderr: {said})' if said else ''}")
