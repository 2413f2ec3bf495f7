"""transact's document is read whole or not at all; percentiles stem from its histogram."""

import json
from typing import Any

import pytest

from steps.lib.tables import MEASUREMENTS
from steps.lib.traffic.distribution import percentile
from steps.lib.traffic.protocol import DocumentError, ToolRecord, VersionError
from steps.lib.traffic.transact import Transact
from tests.outputs import output

RR = output("transact-tcp-rr.jsonl")
CRR = output("transact-tcp-crr.jsonl")
UDP = output("transact-udp-rr.jsonl")


def parse(text: bytes) -> ToolRecord:
    return Transact().parse(text)


def events(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def changed(where: int, text: bytes = RR, **changes: Any) -> bytes:
    """The document with some keys of one event set to other values."""
    lines = text.splitlines(keepends=True)
    event = json.loads(lines[where]) | changes
    lines[where] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    return b"".join(lines)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            RR,
            {"kind": "tcp-rr", "protocol": "tcp", "omit_s": 1, "duration_s": 2, "rate_per_s": 200},
        ),
        (CRR, {"kind": "tcp-crr", "protocol": "tcp", "omit_s": 0, "duration_s": 1}),
        (UDP, {"kind": "udp-rr", "protocol": "udp", "omit_s": 1, "rate_per_s": None}),
    ],
    ids=["rr", "crr", "udp"],
)
def test_a_good_run_says_what_was_in_force(text: bytes, wanted: dict[str, object]) -> None:
    record = parse(text)
    wanted |= {"request_bytes": 64, "response_bytes": 1024, "server_port": 30524}
    assert {key: record.effective[key] for key in wanted} == wanted
    assert (record.tool, record.version) == ("transact", "1")
    assert (record.client_address, record.server_address) == ("10.213.0.1", "10.213.0.2")
    assert record.mss_bytes == (None if text is UDP else 1448)
    assert record.duration_s == pytest.approx(float(str(record.effective["duration_s"])), rel=0.01)
    assert sum(i.duration_s for i in record.intervals) == pytest.approx(record.duration_s)


@pytest.mark.parametrize("text", [RR, CRR, UDP], ids=["rr", "crr", "udp"])
def test_its_metrics_are_columns_and_in_order(text: bytes) -> None:
    metrics = parse(text).metrics
    assert metrics.keys() <= {column.name for column in MEASUREMENTS}
    names = ("min", "p50", "p90", "p99", "p99_9", "max")
    values = [float(metrics[f"latency_us_{name}"] or 0) for name in names]
    assert values == sorted(values)
    assert values[0] > 0


def test_histogram_and_intervals_hold_each_measured_transaction_once() -> None:
    record, end = parse(RR), events(RR)[-1]
    assert sum(bucket.transactions for bucket in record.histogram) == end["transactions"]
    rates = [i.duration_s * float(i.transactions_per_s or 0) for i in record.intervals]
    assert sum(rates) == pytest.approx(end["transactions"])
    assert all(b.high_us - b.low_us < b.low_us / 127 for b in record.histogram)


def test_percentiles_are_those_of_the_values_within_a_bucket_s_width() -> None:
    low, count = 1 << 14, 128
    width = low // 128
    buckets = [(low + i * width, low + (i + 1) * width, 1) for i in range(count)]

    def found(percent: float) -> float:
        return percentile(buckets, percent, low, 2 * low - 1)

    assert found(50) == pytest.approx(1.5 * low, rel=0.008)
    assert found(99.9) == pytest.approx(2 * low, rel=0.008)
    assert found(100) == 2 * low - 1


def test_requests_without_an_answer_are_counted() -> None:
    lost = parse(changed(-1, UDP, lost=7)).metrics
    sent = events(UDP)[-1]["transactions"] + 7
    assert (lost["lost_datagrams"], lost["datagrams"]) == (7, sent)
    assert lost["lost_percent"] == pytest.approx(700 / sent)


END = events(RR)[-1]
LATENCY, HISTOGRAM = END["latency_ns"], END["histogram"]
BROKEN = {
    "nothing": (b"", "wrote nothing"),
    "cut off": (RR[:-9], "cut off within a line"),
    "without its end": (RR[: RR.index(b'{"event":"end"')], "events are not in order"),
    "doubled": (RR + RR, "events are not in order"),
    "no server": (output("transact-refused.jsonl"), "reports an error: connect: Conn"),
    "client interrupted": (output("transact-tcp-rr-client-sigint.jsonl"), "not in order"),
    "server killed": (output("transact-tcp-rr-server-sigkill.jsonl"), "the server ended the conn"),
    "text before it": (b"warning\n" + RR, "line 1 is not an event of transact"),
    "a number in quotes": (changed(0, rate_per_s="200"), "is not an event of transact"),
    "an unknown key": (changed(0, warm="yes"), "is not an event of transact"),
    "more than its intervals": (changed(-1, transactions=END["transactions"] + 1), "its intervals"),
    "a bucket short": (changed(-1, histogram=HISTOGRAM[1:]), "its histogram"),
    "an interval moved": (changed(3, start_s=0.5), "do not make up its window"),
    "a shorter window": (changed(-1, seconds=1.5), "do not make up its window"),
    "a maximum outside": (changed(-1, latency_ns=LATENCY | {"max": 10**9}), "not in its histogram"),
    "buckets out of order": (
        changed(-1, histogram=[HISTOGRAM[0], *HISTOGRAM[-2:0:-1], HISTOGRAM[-1]]),
        "buckets are not in order",
    ),
    "longer than its window": (
        changed(-1, UDP, latency_ns=events(UDP)[-1]["latency_ns"] | {"mean": 1e6}),
        "s of each second",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_one_whole_document_is_none(text: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        parse(text)


def test_another_version_is_named_before_anything_is_read() -> None:
    with pytest.raises(VersionError, match="of transact 2, pinned 1"):
        parse(changed(0, version="2", protocol="quic"))
