"""netperf: request and response over TCP, one transaction in flight."""

import re
import signal
from collections.abc import Sequence

from steps.lib.models import Traffic, Transactions
from steps.lib.traffic.netperf_reading import SELECTION, Record, read_record
from steps.lib.traffic.protocol import (
    Boundary,
    Clock,
    DocumentError,
    Interval,
    ToolRecord,
    VersionError,
    family_option,
)

CONTROL_PORT = 30522
DATA_PORT = 30523
"""Published as NodePorts too, so they lie in the range that Kubernetes has for them."""

REPORT_STEP_S = 0.25
"""Time between two interim reports: the first one opens the window, so it is the part of the run
that the window lacks. Shorter steps cost wake-ups of the reader on the nodes that are measured."""

_TESTS = {"tcp-rr": "TCP_RR", "tcp-crr": "TCP_CRR"}
_KINDS = {"Send|Recv": "tcp-rr", "Connect|Send|Recv": "tcp-crr"}
_ENDING = re.compile(rb"NETPERF_ENDING\[\d+\]=(\d{1,12}\.\d+)\s*")
_INTERVAL = re.compile(rb"NETPERF_INTERVAL\[\d+\]=(\d{1,12}\.\d+)\s*")


class NetperfClock(Clock):
    """Opens at the first interim report, closes at the one that netperf writes when the test ends.

    The window is thus ``[REPORT_STEP_S, duration_s]`` of the run; rates and latencies are of all of
    it. netperf flushes a report as a whole, 0.5 ms after the ``ENDING`` that it carries; the time
    between the two reports was that of the intervals between them within 0.1 ms (median of 24 runs
    of 2 s on 2 busy cores; worst 19 ms).

    ``-D`` needs a negative time for that: netperf then looks at its clock after each transaction.
    With a positive one it looks after a number of transactions that it guesses from the last rate,
    and a 1-s report came after 1.0 to 1.5 s.
    """

    def __init__(self, duration_s: int) -> None:
        self._duration_s = duration_s
        self._started_s: float | None = None
        self._interval_s = 0.0
        self._closed = False

    def feed(self, line: bytes) -> Boundary | None:
        """See ``Clock``. The last of a report's four lines counts."""
        if match := _INTERVAL.fullmatch(line):
            self._interval_s = float(match[1])
        match = _ENDING.fullmatch(line)
        if not match or self._closed:
            return None
        ending_s = float(match[1])
        if self._started_s is None:
            self._started_s = ending_s - self._interval_s
            return "window-start"
        # Only the report at the end of the test is shorter than the step. It may also be longer,
        # after a stall, or be empty, after one that ended just before it.
        over = ending_s - self._started_s >= self._duration_s - REPORT_STEP_S / 5
        self._closed = over or self._interval_s < REPORT_STEP_S - 0.001
        return "window-end" if self._closed else None


class Netperf:
    """One netserver and one netperf process a cell.

    After ``tcp-crr`` netserver waits for one more connection until its own timer rings, four
    seconds after the test, before it answers by the control connection. The timer's signal, sent
    when the client has reported the end of its test, spares that.
    """

    name = "netperf"
    version = "2.7.1"
    kinds: tuple[str, ...] = ("tcp-rr", "tcp-crr")
    version_command: tuple[str, ...] | None = ("netperf", "-V")

    @property
    def ports(self) -> tuple[int, ...]:
        """The data port is opened by a test only; it is the one that policies must cover."""
        return (CONTROL_PORT, DATA_PORT)

    def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """``-D``: stay in the foreground; ``-f``: one process; ``-N``: no debug file in /tmp."""
        where = (family_option(traffic), "-L", address, "-p", str(CONTROL_PORT))
        return "netserver", *where, "-D", "-f", "-N"

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """Options after ``--`` belong to the test; ``-D`` there is TCP_NODELAY on both ends."""
        assert isinstance(traffic, Transactions), "tool_for gives netperf transactions only"
        return (
            "netperf", family_option(traffic), "-H", address, "-p", str(CONTROL_PORT), "-P", "1",
            "-t", _TESTS[traffic.kind], "-l", str(traffic.duration_s), "-D", str(-REPORT_STEP_S),
            "--", "-P", f",{DATA_PORT}", "-r", f"{traffic.request_bytes},{traffic.response_bytes}",
            "-D", "-b", "0", "-k", ",".join(SELECTION),
        )  # fmt: skip

    def end_signal(self, traffic: Traffic) -> int | None:
        """See ``Tool``; why it is so, see the class."""
        return signal.SIGALRM if traffic.kind == "tcp-crr" else None

    def clock(self, traffic: Traffic) -> Clock:
        """A fresh watcher of one run's output."""
        return NetperfClock(traffic.duration_s)

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        """See ``Tool``. The record does not name its version: ``netperf -V`` does.

        ``intervals`` are those of the window, so the first report is not among them.
        """
        record = read_record(output)
        effective = _effective(record)
        opened_s = record.reports[0].ending_s
        return ToolRecord(
            tool=self.name,
            version=_version(version_output, self.version),
            effective=effective,
            metrics=_metrics(record),
            intervals=tuple(
                Interval(
                    round(report.start_s - opened_s, 3),
                    report.duration_s,
                    transactions_per_s=report.transactions_per_s,
                )
                for report in record.reports[1:]
            ),
            duration_s=record.number("ELAPSED_TIME"),
            client_address=None,  # netperf says 0.0.0.0: it leaves the choice to the kernel
            server_address=record.fields["DEST_ADDR"],
            mss_bytes=record.count("TRANSPORT_MSS"),
            congestion_control=record.fields["LOCAL_CONG_CONTROL"] or None,  # none for tcp-crr
            started_utc_s=record.reports[0].start_s,
        )


def _version(output: bytes, pinned: str) -> str:
    match = re.fullmatch(rb"Netperf version (\d+(?:\.\d+)+)\n", output)
    found = match[1].decode() if match else None
    if found != pinned:
        raise VersionError(f"`netperf -V` says {output[:60]!r}, only netperf {pinned} is read")
    return pinned


def _effective(record: Record) -> dict[str, str | int | float | None]:
    kind = _KINDS.get(record.fields["DIRECTION"])
    if kind is None or record.option(r" -t (\S+) ") != _TESTS[kind]:
        raise DocumentError(f"netperf's DIRECTION is {record.fields['DIRECTION'][:40]!r}")
    return {
        "kind": kind,
        "protocol": record.fields["PROTOCOL"].lower(),
        "request_bytes": record.count("REQUEST_SIZE"),
        "response_bytes": record.count("RESPONSE_SIZE"),
        "duration_s": int(record.option(r" -l ([0-9]+) ")),
        "omit_s": 0,  # it has no warm-up to leave out
        "rate_per_s": None,
        "server_port": record.count("DEST_PORT"),
        "send_buffer_bytes": record.count("LSS_SIZE_END"),
        "receive_buffer_bytes": record.count("RSR_SIZE_END"),
    }


def _metrics(record: Record) -> dict[str, float | int | None]:
    """Latencies are of whole transactions, in us; for ``tcp-crr`` connecting is a part of them."""
    metrics: dict[str, float | int | None] = {
        "transactions_per_s": record.number("TRANSACTION_RATE"),
        "retransmits": _retransmits(record),
    }
    for name in ("min", "mean", "p50", "p90", "p99", "max", "stddev"):
        metrics[f"latency_us_{name}"] = record.number(f"{name.upper()}_LATENCY")
    return metrics


def _retransmits(record: Record) -> int | None:
    """Of both ends together, since both send. ``tcp-crr`` says -1: not known."""
    ends = [record.fields[f"{end}_TRANSPORT_RETRANS"] for end in ("LOCAL", "REMOTE")]
    if "-1" in ends:
        return None
    return sum(record.count(f"{end}_TRANSPORT_RETRANS") for end in ("LOCAL", "REMOTE"))
