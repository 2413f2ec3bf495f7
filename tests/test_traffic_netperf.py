"""netperf's record is read whole or not at all; its elapsed time and its unit are checked."""

import re

import pytest

from steps.lib.tables import MEASUREMENTS
from steps.lib.traffic.netperf import Netperf
from steps.lib.traffic.protocol import DocumentError, ToolRecord
from tests.outputs import VERSION_OUTPUT, output

RR = output("netperf-tcp-rr.txt")
CRR = output("netperf-tcp-crr.txt")
SIZES = output("netperf-tcp-rr-64-1024.txt")


def parse(text: bytes, version_output: bytes = VERSION_OUTPUT) -> ToolRecord:
    return Netperf().parse(text, version_output)


def value(text: bytes, key: str) -> str:
    match = re.search(rf"^{key}=(.*)$", text.decode(), re.MULTILINE)
    assert match
    return match[1]


def with_value(key: str, new: str, text: bytes = RR) -> bytes:
    changed, count = re.subn(rf"(?m)^{key}=.*$", f"{key}={new}", text.decode())
    assert count == 1
    return changed.encode()


def without(pattern: str, text: bytes = RR) -> bytes:
    changed, count = re.subn(rf"(?m)^{pattern}=.*\n", "", text.decode())
    assert count
    return changed.encode()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (RR, {"kind": "tcp-rr", "duration_s": 1, "request_bytes": 1, "response_bytes": 1}),
        (CRR, {"kind": "tcp-crr", "duration_s": 1, "request_bytes": 1, "response_bytes": 1}),
        (SIZES, {"kind": "tcp-rr", "duration_s": 2, "request_bytes": 64, "response_bytes": 1024}),
    ],
    ids=["rr", "crr", "sizes"],
)
def test_a_good_run_says_what_was_in_force(text: bytes, wanted: dict[str, object]) -> None:
    record = parse(text)
    wanted |= {"protocol": "tcp", "server_port": 12866}
    assert {key: record.effective[key] for key in wanted} == wanted
    assert (record.tool, record.version) == ("netperf", "2.7.1")
    assert (record.client_address, record.server_address) == (None, "10.213.0.2")
    assert record.mss_bytes == 1448
    assert record.duration_s == pytest.approx(wanted["duration_s"], rel=0.02)


def test_a_run_is_dated_by_its_first_report() -> None:
    ending_s, interval_s = (
        float(value(RR, rf"NETPERF_{key}\[0\]")) for key in ("ENDING", "INTERVAL")
    )
    assert parse(RR).started_utc_s == pytest.approx(ending_s - interval_s)


def test_metrics_are_the_keys_of_the_record() -> None:
    metrics = parse(RR).metrics
    assert set(metrics) <= {column.name for column in MEASUREMENTS}
    assert metrics["transactions_per_s"] == float(value(RR, "TRANSACTION_RATE"))
    for name in ("min", "mean", "p50", "p90", "p99", "max", "stddev"):
        assert metrics[f"latency_us_{name}"] == float(value(RR, f"{name.upper()}_LATENCY"))
    assert metrics["retransmits"] == 0


def test_what_a_connection_test_does_not_know_is_left_open() -> None:
    record = parse(CRR)
    assert record.metrics["retransmits"] is None
    assert record.congestion_control is None


def test_intervals_are_those_of_the_window() -> None:
    record = parse(SIZES)
    assert record.intervals[0].t_rel_s == 0
    assert len(record.intervals) == SIZES.count(b"NETPERF_ENDING") - 1
    assert sum(i.duration_s for i in record.intervals) == pytest.approx(1.75, rel=0.02)
    assert {i.bits_per_s for i in record.intervals} == {None}


BANNER = RR.splitlines(keepends=True)[0]

BROKEN = {
    "empty": (b"", "wrote nothing"),
    "one line feed": (b"\n", "does not start with its banner"),
    "doubled": (RR + RR, "not the selected ones"),
    "two runs": (RR + CRR, "not the selected ones"),
    "text before": (b"x\n" + RR, "does not start with its banner"),
    "text after": (RR + b"x\n", "31 lines for 30 keys"),
    "complaint inside": (
        RR.replace(b"SOCKET_TYPE", b"catcher: timer popped\nSOCKET_TYPE"), "first odd one 'catcher",
    ),
    "through a terminal": (RR.replace(b"\n", b"\r\n"), "carriage returns"),
    "NUL bytes only": (bytes(64), "cut off"),
    "not text": (RR.replace(b"Stream", b"Str\xffam"), "not text"),
    "no last line feed": (RR[:-1], "cut off"),
    "command line cut": (RR[:-2] + b"\n", "record is cut off"),
    "no server": (output("netperf-refused.txt"), "does not start with its banner"),
    "without -k": (output("netperf-tcp-rr-table.txt"), "not the selected ones"),
    "client interrupted": (output("netperf-tcp-rr-client-sigint.txt"), "cut short: 1.2 s of 2 s"),
    "server killed": (output("netperf-tcp-rr-server-sigkill.txt"), "results are missing"),
    "CRR server killed": (output("netperf-tcp-crr-server-sigkill.txt"), "results are missing"),
    "no banner": (RR[len(BANNER) :], "does not start with its banner"),
    "no delay off": (RR.replace(b" : nodelay", b""), "does not start with its banner"),
    "no reports": (without(r"NETPERF_\w+\[\d\]"), "less than two reports"),
    "no first report": (without(r"NETPERF_\w+\[0\]"), "interim report 0"),
    "no second report": (without(r"NETPERF_\w+\[1\]"), "interim report 1"),
    "no last report": (without(r"NETPERF_\w+\[3\]"), "interim reports cover 0.75 s"),
    "part of a report": (without(r"NETPERF_UNITS\[2\]"), "interim report 2"),
    "report in other unit": (with_value(r"NETPERF_UNITS\[1\]", "10^6bits/s"), "interim report 1"),
    "report without a number": (with_value(r"NETPERF_INTERIM_RESULT\[1\]", "nan"), "report 1"),
    "report cut off": (RR[: RR.index(b"NETPERF_INTERVAL[2]")], "interim report 2"),
    "key missing": (without("P99_LATENCY"), "29 lines for 30 keys, first odd one 'MAX_LATENCY'"),
    "key twice": (RR.replace(b"PROTOCOL=", b"PROTOCOL=TCP\nPROTOCOL="), "31 lines for 30 keys"),
    "no value": (RR.replace(b"PROTOCOL=TCP", b"PROTOCOL"), "not the selected ones"),
    "other protocol": (with_value("PROTOCOL", "UDP"), "PROTOCOL is 'UDP'"),
    "other unit": (with_value("THROUGHPUT_UNITS", "10^6bits/s"), "THROUGHPUT_UNITS is"),
    "other rate": (with_value("THROUGHPUT", "1.00"), "THROUGHPUT is not"),
    "more in flight": (with_value("BURST_SIZE", "16"), "BURST_SIZE is '16'"),
    "other test": (with_value("DIRECTION", "Send"), "DIRECTION is 'Send'"),
    "other test than asked": (with_value("DIRECTION", "Connect|Send|Recv"), "DIRECTION is"),
    "cut short": (with_value("ELAPSED_TIME", "0.97"), "cut short: 0.97 s of 1 s"),
    "elapsed without reports": (with_value("ELAPSED_TIME", "2.00"), "cover 1.00 s of 2.00 s"),
    "latency in ms": (with_value("MEAN_LATENCY", "0.05"), "latency is not in us"),
    "no latency": (with_value("P50_LATENCY", "-1"), "P50_LATENCY is not a number"),
    "not a number": (with_value("MAX_LATENCY", "nan"), "MAX_LATENCY is not a number"),
    "infinite": (with_value("TRANSACTION_RATE", "inf"), "TRANSACTION_RATE is not a number"),
    "other digits": (with_value("P99_LATENCY", "٣"), "P99_LATENCY is not a number"),
    "nothing done": (
        with_value("THROUGHPUT", "0.00", with_value("TRANSACTION_RATE", "0.000")), "THROUGHPUT is",
    ),
    "not a count": (with_value("REQUEST_SIZE", "1.5"), "REQUEST_SIZE is not a count"),
    "another command": (with_value("COMMAND_LINE", '"netperf"'), "COMMAND_LINE has no"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_one_complete_record_is_refused(name: str) -> None:
    text, message = BROKEN[name]
    with pytest.raises(DocumentError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize("text", [b"", b"Netperf version 2.7.0\n", VERSION_OUTPUT * 2, b"\xff"])
def test_another_version_is_refused(text: bytes) -> None:
    with pytest.raises(DocumentError, match=r"only netperf 2\.7\.1 is read"):
        parse(RR, text)


@pytest.mark.parametrize("text", [RR, CRR], ids=["rr", "crr"])
def test_no_part_of_a_record_is_taken_for_the_whole(text: bytes) -> None:
    for length in range(len(text)):
        with pytest.raises(DocumentError):
            parse(text[:length])
