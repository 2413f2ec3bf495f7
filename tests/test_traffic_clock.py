"""The measured window is marked by the tool's own reports, at exactly one line each."""

import pytest

from steps.lib.traffic.iperf3 import Iperf3Clock
from steps.lib.traffic.netperf import NetperfClock
from steps.lib.traffic.protocol import Clock
from tests.outputs import output


def boundaries(clock: Clock, text: bytes) -> list[tuple[int, str]]:
    """At which lines, counted from 1, a boundary was reported."""
    marked = ((n, clock.feed(line)) for n, line in enumerate(text.splitlines(keepends=True), 1))
    return [(n, boundary) for n, boundary in marked if boundary]


def reports(*intervals_s: float, start_s: float = 1_700_000_000.0) -> bytes:
    """Interim reports of netperf, one after the other."""
    text = ""
    for number, interval_s in enumerate(intervals_s):
        start_s += interval_s
        text += f"NETPERF_INTERIM_RESULT[{number}]=1.00\nNETPERF_UNITS[{number}]=Trans/s\n"
        text += f"NETPERF_INTERVAL[{number}]={interval_s:.3f}\n"
        text += f"NETPERF_ENDING[{number}]={start_s:.3f}\n"
    return text.encode()


@pytest.mark.parametrize(
    "name", ["tcp-forward", "tcp-4-forward", "tcp-reverse", "udp-forward", "udp-4-reverse"]
)
def test_iperf3_opens_at_the_last_omitted_interval(name: str) -> None:
    found = boundaries(Iperf3Clock(1, 2), output(f"iperf3-{name}.jsonl"))
    assert found == [(2, "window-start"), (4, "window-end")]


def test_iperf3_opens_at_its_start_when_nothing_is_omitted() -> None:
    found = boundaries(Iperf3Clock(0, 2), output("iperf3-tcp-no-omit.jsonl"))
    assert found == [(1, "window-start"), (3, "window-end")]


def test_a_killed_iperf3_does_not_close_the_window() -> None:
    found = boundaries(Iperf3Clock(1, 2), output("iperf3-tcp-client-sigkill.jsonl"))
    assert found == [(2, "window-start")]
    assert boundaries(Iperf3Clock(1, 2), output("iperf3-refused.jsonl")) == []


@pytest.mark.parametrize(("name", "seconds"), [("rr", 1), ("crr", 1), ("rr-64-1024", 2)])
def test_netperf_opens_at_its_first_report_and_closes_at_its_last(name: str, seconds: int) -> None:
    text = output(f"netperf-tcp-{name}.txt")
    last = 1 + 4 * text.count(b"NETPERF_ENDING")
    assert boundaries(NetperfClock(seconds), text) == [(5, "window-start"), (last, "window-end")]


@pytest.mark.parametrize(
    ("intervals_s", "last"),
    [
        ((0.25, 0.25, 0.25, 0.249), 4),
        ((0.25, 0.25, 0.25, 0.25, 0.0), 4),  # the last one is of no time at all
        ((0.25, 0.6, 0.15), 3),
        ((0.25, 0.25, 0.25, 0.26), 4),  # a stall made the last one longer than the step
        ((0.25, 0.251, 0.251, 0.251, 0.003), 4),
        ((0.25, 0.25, 0.25, 0.1), 4),  # the timer was set long before the first transaction
    ],
)
def test_netperf_s_last_report_is_known_when_it_comes(
    intervals_s: tuple[float, ...], last: int
) -> None:
    found = boundaries(NetperfClock(1), reports(*intervals_s))
    assert found == [(4, "window-start"), (4 * last, "window-end")]


@pytest.mark.parametrize("clock", [Iperf3Clock(1, 2), NetperfClock(2)])
def test_a_clock_is_not_disturbed_by_garbage(clock: Clock) -> None:
    garbage = [b"", b"\n", b"\0\xff\n", b'{"event":"interval', b"NETPERF_ENDING[0]=\n", b"=" * 9]
    assert [clock.feed(line) for line in garbage if b"interval" not in line] == [None] * 5
