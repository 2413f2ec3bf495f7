"""Real runs over a veth pair: the record is what was asked, the window is the tool's own."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import TypeAdapter

from steps.lib import tools
from steps.lib.models import Traffic
from steps.lib.run import WindowWatch
from steps.lib.traffic import asked, tool_for
from steps.lib.traffic.protocol import Boundary, DocumentError, ToolRecord

pytestmark = pytest.mark.namespaces

TCP = {
    "id": "t", "kind": "tcp-stream", "streams": 1, "message_bytes": 131072, "duration_s": 2,
    "omit_s": 1, "congestion_control": "cubic",
}  # fmt: skip
UDP = {
    "id": "t", "kind": "udp-stream", "streams": 1, "message_bytes": 1300, "duration_s": 2,
    "omit_s": 1, "rate_bits_per_s": 20_000_000,
}  # fmt: skip
RR = {"id": "t", "kind": "tcp-rr", "request_bytes": 1, "response_bytes": 1, "duration_s": 2}
CRR = RR | {"kind": "tcp-crr", "duration_s": 1}
DISTRIBUTION = RR | {"tool": "transact", "omit_s": 1}
DATAGRAMS = DISTRIBUTION | {"kind": "udp-rr"}
HTTP = {
    "id": "t", "kind": "http2", "connections": 2, "requests_each": 4, "response_bytes": 1024,
    "duration_s": 2, "omit_s": 1,
}  # fmt: skip

WINDOW_TOLERANCE = 0.03
TRIES = 3
"""A loaded machine may let the reader wait for its turn; not three times in a row."""


@dataclass
class Run:
    """What a run left."""

    output: bytes = b""
    version_output: bytes = b""
    boundaries: dict[Boundary, float] = field(default_factory=dict)

    @property
    def window_s(self) -> float:
        return self.boundaries["window-end"] - self.boundaries["window-start"]


class Pair:
    """Two network namespaces with a link between them, and the tool box in both."""

    addresses = ("10.213.7.1", "10.213.7.2")

    def __init__(self) -> None:
        self.names = [f"cnibt-{os.getpid()}-{end}" for end in ("a", "b")]

    def make(self) -> None:
        a, b = self.names
        _ip(f"netns add {a}")
        _ip(f"netns add {b}")
        _ip(f"link add eth0 netns {a} type veth peer name eth0 netns {b}")
        for name, address in zip(self.names, self.addresses, strict=True):
            _ip(f"-n {name} address add {address}/24 dev eth0")
            _ip(f"-n {name} link set lo up")
            _ip(f"-n {name} link set eth0 up")

    def discard(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def start(self, end: int, command: Any) -> "subprocess.Popen[bytes]":
        enter = ["nsenter", f"--net=/run/netns/{self.names[end]}", f"--root={tools.toolbox()}"]
        pipe = subprocess.PIPE
        return subprocess.Popen([*enter, "--wd=/", "--", *command], stdout=pipe, stderr=pipe)

    @contextmanager
    def running(self, end: int, command: Any) -> Iterator["subprocess.Popen[bytes]"]:
        """A command that is over at the end, however that comes."""
        with self.start(end, command) as process:
            try:
                yield process
            finally:
                process.kill()

    def wait_listening(self, port: int) -> None:
        """Without connecting: that would end an iperf3 server."""
        command = ["ip", "netns", "exec", self.names[1], "ss", "-Hltn", f"sport = :{port}"]
        deadline = time.monotonic() + 5
        while not subprocess.check_output(command):
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.02)


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    try:
        made.make()
        yield made
    finally:
        made.discard()


def traffic(fields: dict[str, Any], **changes: Any) -> Traffic:
    made: Traffic = TypeAdapter(Traffic).validate_python(fields | changes)
    return made


Killer = Callable[["subprocess.Popen[bytes]", "subprocess.Popen[bytes]"], None]


def run(
    pair: Pair,
    made: Traffic,
    kill: Killer | None = None,
    after_s: float = 0,
    address: str = Pair.addresses[1],
) -> Run:
    """Server and client, from start to end, with the clock fed as ``measure`` does."""
    tool, found = tool_for(made), Run()
    with ExitStack() as stack:
        server = stack.enter_context(pair.running(1, tool.server_command(made, address)))
        pair.wait_listening(tool.ports[0])
        client = stack.enter_context(pair.running(0, tool.client_command(made, address)))
        for delay_s, action in ((after_s, kill), (20, lambda client, _: client.kill())):
            if action:
                timer = threading.Timer(delay_s, action, (client, server))
                timer.start()
                stack.callback(timer.cancel)
        watch = stack.enter_context(WindowWatch(tool.clock(made), time.monotonic))
        assert client.stdout
        for line in client.stdout:
            watch.feed(line)
            found.output += line
        found.boundaries = watch.readings
    if tool.version_command:
        with pair.start(0, tool.version_command) as version:
            found.version_output = version.communicate(timeout=5)[0]
    return found


def parsed(found: Run, made: Traffic) -> ToolRecord:
    return tool_for(made).parse(found.output, found.version_output)


@pytest.mark.parametrize(
    "made",
    [
        traffic(TCP), traffic(TCP, streams=4, direction="reverse"), traffic(UDP, streams=4),
        traffic(TCP, streams=2, direction="both"),
        traffic(UDP, direction="reverse"), traffic(TCP, omit_s=0, duration_s=1), traffic(RR),
        traffic(RR, request_bytes=64, response_bytes=4096, duration_s=1),
        traffic(DISTRIBUTION, request_bytes=64, response_bytes=4096), traffic(DATAGRAMS),
        traffic(DATAGRAMS, rate_per_s=2000, omit_s=0), traffic(DISTRIBUTION, kind="tcp-crr"),
        traffic(HTTP), traffic(HTTP, kind="http1", requests_each=1),
    ],
    ids=[
        "tcp", "tcp-4-reverse", "udp-4", "tcp-2-both", "udp-reverse", "tcp-no-omit", "rr",
        "rr-sizes", "distribution", "datagrams", "paced", "connections", "http2", "http1",
    ],
)  # fmt: skip
def test_a_run_does_what_was_asked_and_marks_its_window(pair: Pair, made: Traffic) -> None:
    check(pair, made)


def test_the_window_opens_when_the_omission_ends_whether_or_not_that_is_told(pair: Pair) -> None:
    for _ in range(4):  # It is not told of some of them.
        check(pair, traffic(TCP, omit_s=2, duration_s=1))


def test_a_connection_test_does_not_stumble_over_the_last_ones_sockets(pair: Pair) -> None:
    for _ in range(2):
        check(pair, traffic(CRR))


def check(pair: Pair, made: Traffic) -> None:
    """Record and window of one run; a window that the machine disturbed is measured again."""
    for _ in range(TRIES):
        found = run(pair, made)
        record = parsed(found, made)
        wanted = asked(made)
        assert {key: record.effective.get(key) for key in wanted} == wanted
        assert record.version == tool_for(made).version
        assert record.server_address == pair.addresses[1]
        assert record.client_address in (pair.addresses[0], None)
        window_s = sum(interval.duration_s for interval in record.intervals)
        if found.window_s == pytest.approx(window_s, rel=WINDOW_TOLERANCE):
            return
    pytest.fail(f"window of {found.window_s:.3f} s, the tool's intervals are {window_s:.3f} s")


SHORT = {"omit_s": 0, "duration_s": 1}


@pytest.mark.parametrize(
    "made",
    [
        traffic(UDP, **SHORT),
        traffic(UDP, direction="reverse", **SHORT),
        traffic(DATAGRAMS, **SHORT),
    ],
    ids=["udp", "udp-reverse", "datagrams"],
)
def test_a_host_of_several_addresses_answers_from_the_one_that_was_dialled(
    pair: Pair, made: Traffic
) -> None:
    second = "10.213.7.22"
    _ip(f"-n {pair.names[1]} address replace {second}/24 dev eth0")
    record = parsed(run(pair, made, address=second), made)
    assert record.server_address == second


ENDED = [traffic(each) for each in (TCP, UDP, RR, DISTRIBUTION, DATAGRAMS, HTTP)]


@pytest.mark.parametrize("made", ENDED, ids=lambda m: f"{m.kind}-{tool_for(m).name}")
@pytest.mark.parametrize("end", ["client", "server"])
def test_a_killed_end_gives_no_number(pair: Pair, made: Traffic, end: str) -> None:
    def kill(*ends: "subprocess.Popen[bytes]") -> None:
        ends[("client", "server").index(end)].send_signal(signal.SIGKILL)

    found = run(pair, made, kill, after_s=1.5)
    with pytest.raises(DocumentError):
        parsed(found, made)


@pytest.mark.parametrize("made", [traffic(TCP), traffic(RR)], ids=lambda m: m.kind)
def test_an_interrupted_client_gives_no_number(pair: Pair, made: Traffic) -> None:
    found = run(pair, made, lambda client, server: client.send_signal(signal.SIGINT), after_s=1.5)
    with pytest.raises(DocumentError, match=r"interrupt|cut short"):
        parsed(found, made)


def test_a_client_without_a_server_gives_no_number(pair: Pair) -> None:
    for made in (traffic(TCP), traffic(RR), traffic(DISTRIBUTION)):
        client = pair.start(0, tool_for(made).client_command(made, pair.addresses[1]))
        output, _ = client.communicate(timeout=10)
        with pytest.raises(DocumentError):
            parsed(Run(output), made)


def test_a_paced_run_keeps_its_rate_and_times_requests_from_when_they_were_due(pair: Pair) -> None:
    made = traffic(DISTRIBUTION, rate_per_s=100, omit_s=0, duration_s=2)

    def stop(client: Any, server: "subprocess.Popen[bytes]") -> None:
        server.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        server.send_signal(signal.SIGCONT)

    record = parsed(run(pair, made, stop, after_s=0.8), made)
    slow = sum(b.transactions for b in record.histogram if b.low_us > 100_000)
    assert record.metrics["transactions_per_s"] == pytest.approx(100, rel=0.05)
    assert slow > 20, "some 40 requests were due while the server stood still, not one"


@pytest.mark.parametrize("rate_per_s", [None, 1000])
def test_a_lost_datagram_is_counted_and_is_no_latency(pair: Pair, rate_per_s: int | None) -> None:
    rule = "udp dport 30524 numgen inc mod 700 0 drop"
    chain = "{ type filter hook input priority 0; }"
    inside = ["ip", "netns", "exec", pair.names[1]]
    for command in ("add table inet loss", f"add chain inet loss in {chain}"):
        subprocess.run([*inside, "nft", command], check=True)
    subprocess.run([*inside, "nft", f"add rule inet loss in {rule}"], check=True)
    try:
        made = traffic(DATAGRAMS, omit_s=0, rate_per_s=rate_per_s)
        record = parsed(run(pair, made), made)
    finally:
        subprocess.run([*inside, "nft", "delete table inet loss"], check=True)
    assert int(record.metrics["lost_datagrams"] or 0) >= 1
    assert 0 < float(record.metrics["latency_us_max"] or 0) < 5e5, "nor what waited for it"
