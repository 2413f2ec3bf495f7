"""The measured window is marked by the tool's own reports, at exactly one line each."""

import time

import pytest

from steps.lib.run import WindowWatch
from steps.lib.traffic.iperf3 import REPORT_LATE_S, Iperf3Clock
from steps.lib.traffic.iperf3_document import INTERVAL_S
from steps.lib.traffic.netperf import NetperfClock
from steps.lib.traffic.protocol import Boundary, Clock, Due
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


def test_an_omission_whose_end_is_not_reported_is_due_a_second_after_the_report_before() -> None:
    clock = Iperf3Clock(2, 2)
    lines = output("iperf3-tcp-omission-unreported.jsonl").splitlines(keepends=True)
    found = [(clock.feed(line), clock.due) for line in lines]
    due = Due("window-start", INTERVAL_S + REPORT_LATE_S)
    assert found[:4] == [(None, None), (None, due), (None, None), ("window-end", None)]


def test_the_end_of_a_single_omitted_second_is_waited_for() -> None:
    clock = Iperf3Clock(1, 2)
    for line in output("iperf3-tcp-forward.jsonl").splitlines(keepends=True):
        clock.feed(line)
        assert clock.due is None


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


# ---------- readings
class Told(Clock):
    """Tells what a line says: an end of the window, or that its start is due in 0.1 s."""

    def feed(self, line: bytes) -> Boundary | None:
        self.due = Due("window-start", 0.1) if line == b"due" else None
        told: dict[bytes, Boundary] = {b"start": "window-start", b"end": "window-end"}
        return told.get(line)


def test_what_is_due_is_read_when_no_line_comes() -> None:
    begun = time.monotonic()
    with WindowWatch(Told(), time.monotonic) as watch:
        watch.feed(b"due")
        time.sleep(0.5)
        watch.feed(b"other")
        assert watch.feed(b"end") == "window-end"
    assert 0.1 <= watch.readings["window-start"] - begun < 0.4
    assert watch.readings["window-end"] - begun >= 0.5


@pytest.mark.parametrize("after_s", [0, 0.3], ids=["before", "after"])
def test_a_boundary_is_read_once_whether_its_line_comes_before_it_is_due(after_s: float) -> None:
    taken = list[float]()
    with WindowWatch(Told(), lambda: taken.append(time.monotonic())) as watch:
        watch.feed(b"due")
        time.sleep(after_s)
        watch.feed(b"start")
        time.sleep(0.2)
        watch.feed(b"end")
    assert len(taken) == 2


def test_what_was_due_and_could_not_be_read_is_an_error() -> None:
    def fail() -> None:
        raise RuntimeError("no counters")

    with WindowWatch(Told(), fail) as watch:
        watch.feed(b"due")
        time.sleep(0.3)
        with pytest.raises(RuntimeError, match="no counters"):
            watch.feed(b"other")


def test_what_was_due_and_could_not_be_read_is_an_error_of_a_run_that_broke_off() -> None:
    def fail() -> None:
        raise RuntimeError("no counters")

    with pytest.raises(RuntimeError, match="no counters"), WindowWatch(Told(), fail) as watch:
        watch.feed(b"due")
        time.sleep(0.3)


def test_nothing_is_read_after_the_end_of_a_run() -> None:
    taken = list[float]()
    with WindowWatch(Told(), lambda: taken.append(0)) as watch:
        watch.feed(b"due")
    time.sleep(0.2)
    assert taken == []
