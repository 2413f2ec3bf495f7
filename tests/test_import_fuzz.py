"""Real outputs, damaged in every way that was seen: no crash, and no number that was not measured.

A digit that became another can only be seen where a document says a thing twice. Of JSON and of
words of iperf3 that is the rate; netperf's table says nothing twice, so its digits are left alone.
"""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib import tools
from steps.lib.errors import InputError
from steps.lib.imports import ImportedRun, Names, read_results
from tests.test_traffic_runs import Pair

pytestmark = pytest.mark.namespaces

PORTS = (15201, 15202)
SEEDS = 150
LATENCIES = "MIN_LATENCY,MEAN_LATENCY,P50_LATENCY,P99_LATENCY,MAX_LATENCY"
IPERF3 = ("iperf3", "--client", Pair.addresses[1], "--port", str(PORTS[0]), "--time", "2")
NETPERF = ("netperf", "-4", "-H", Pair.addresses[1], "-p", str(PORTS[1]), "-l", "1", "-t")
OPTIONS = ("--", "-R", "1", "-P", ",15203")
COMMANDS = {
    "json": (*IPERF3, "--json"),
    "json, two streams back": (*IPERF3, "--json", "--parallel", "2", "--reverse", "--omit", "1"),
    "json, datagrams": (*IPERF3, "--json", "--udp", "--bitrate", "20M"),
    "events": (*IPERF3, "--json-stream"),
    "words": IPERF3,
    "words, two streams": (*IPERF3, "--parallel", "2", "--format", "K"),
    "words, datagrams": (*IPERF3, "--udp", "--bitrate", "20M"),
    "netperf's table": (*NETPERF, "TCP_STREAM", *OPTIONS),
    "netperf's commas": (
        *NETPERF, "TCP_RR", *OPTIONS, "-o",
        f"{LATENCIES},TRANSACTION_RATE,THROUGHPUT,THROUGHPUT_UNITS,ELAPSED_TIME",
    ),
    "netperf's keys": (
        *NETPERF, "UDP_STREAM", *OPTIONS, "-m", "1000", "-k",
        "THROUGHPUT,THROUGHPUT_UNITS,ELAPSED_TIME,REMOTE_RECV_THROUGHPUT",
    ),
}  # fmt: skip
SAID_ONCE = {"netperf's table"}
RATES = ("throughput_bits_per_s", "transactions_per_s")
TOLERANCE = 0.03
"""Of words with three digits; a change within it is none that matters."""


@pytest.fixture(scope="module")
def outputs() -> Iterator[dict[str, bytes]]:
    """What each command really wrote, between two namespaces."""
    pair = Pair()
    inside = ["chroot", str(tools.toolbox())]
    server = ["ip", "netns", "exec", pair.names[1], *inside]
    try:
        pair.make()
        started = [
            subprocess.Popen([*server, "iperf3", "--server", "--port", str(PORTS[0])]),
            subprocess.Popen([*server, "netserver", "-4", "-D", "-p", str(PORTS[1])]),
        ]
        try:
            wait = ["timeout", "10", "sh", "-c", "until ss -lt | grep -q 15201; do sleep 0.1; done"]
            subprocess.run([*server, *wait], check=True)
            client = ["ip", "netns", "exec", pair.names[0], *inside]
            yield {
                name: subprocess.run([*client, *command], check=True, capture_output=True).stdout
                for name, command in COMMANDS.items()
            }
        finally:
            for process in started:
                process.terminate()
                process.wait()
    finally:
        pair.discard()


def read(tmp_path: Path, content: bytes) -> tuple[ImportedRun, ...]:
    file = tmp_path / "result"
    file.write_bytes(content)
    return read_results(file, Names(plugin="alpha", path="cross-node")).runs


def rate(run: ImportedRun) -> float:
    (found,) = (run.metrics[name] for name in RATES if run.metrics.get(name))
    return float(found)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_tool_really_wrote_is_one_good_run(
    tmp_path: Path, outputs: dict[str, bytes], name: str
) -> None:
    (run,) = read(tmp_path, outputs[name])
    assert (run.status, run.reason) == ("ok", None)
    assert rate(run) > 0


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_output_has_no_number_that_was_not_measured(
    tmp_path: Path, outputs: dict[str, bytes], name: str
) -> None:
    (whole,) = read(tmp_path, outputs[name])
    for seed in range(SEEDS):
        content = damage(outputs[name], random.Random(seed), flips=name not in SAID_ONCE)
        try:
            runs = read(tmp_path, content)
        except InputError:
            continue
        for run in runs:
            assert (run.status == "ok") == bool(run.metrics), (seed, run.reason)
            if run.metrics:
                assert rate(run) == pytest.approx(rate(whole), rel=TOLERANCE), seed


def damage(content: bytes, dice: random.Random, *, flips: bool) -> bytes:
    """The content cut, doubled, shuffled by lines, wrapped, or with some of its bits flipped."""
    lines = content.splitlines(keepends=True)
    at = dice.randrange(len(content))
    kind = dice.choice(["cut", "head", "hole", "double", "shuffle", "wrap", *["flip"] * 4 * flips])
    if kind == "cut":
        return content[:at]
    if kind == "head":
        return content[at:]
    if kind == "hole":
        return content[:at] + content[at + dice.randint(1, 200) :]
    if kind == "double":
        return content[:at] + content[max(0, at - 300) :]
    if kind == "wrap":
        return b"\r\n".join(content[n : n + 80] for n in range(0, len(content), 80))
    if kind == "shuffle":
        dice.shuffle(lines)
        return b"".join(lines)
    flipped = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(7)
    return bytes(flipped)
