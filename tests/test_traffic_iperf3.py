"""Every number of iperf3's document comes from the right side and the right seconds."""

import re
from typing import Any

import pytest

from steps.lib.tables import MEASUREMENTS
from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.protocol import ToolRecord
from tests.outputs import events, output

TCP = output("iperf3-tcp-forward.jsonl")
UDP = output("iperf3-udp-forward.jsonl")
TCP_4 = output("iperf3-tcp-4-forward.jsonl")
TCP_4_REVERSE = output("iperf3-tcp-4-reverse.jsonl")
TCP_4_BOTH = output("iperf3-tcp-4-both.jsonl")

COMPLETE = [f"{p}-{d}" for p in ("tcp", "tcp-4", "udp", "udp-4") for d in ("forward", "reverse")]
COMPLETE += ["tcp-both", "tcp-4-both"]


def parse(text: bytes) -> ToolRecord:
    return Iperf3().parse(text)


def part(text: bytes, name: str) -> Any:
    return next(e["data"] for e in events(text) if e["event"] == name)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_good_run_says_what_was_in_force(name: str) -> None:
    protocol, streams, direction = re.fullmatch(r"(\w+?)-(?:(\d)-)?(\w+)", name).groups()  # type: ignore[union-attr]
    record = parse(output(f"iperf3-{name}.jsonl"))
    wanted = {
        "kind": f"{protocol}-stream",
        "protocol": protocol,
        "streams": int(streams or 1),
        "direction": direction,
        "message_bytes": 131072 if protocol == "tcp" else 1300,
        "duration_s": 2,
        "omit_s": 1,
        "rate_bits_per_s": None if protocol == "tcp" else 40_000_000,
        "congestion_control": "cubic" if protocol == "tcp" else None,
    }
    assert {key: record.effective[key] for key in wanted} == wanted
    assert (record.tool, record.version, record.receiver_side) == ("iperf3", "3.18", True)
    assert (record.client_address, record.server_address) == ("10.213.0.1", "10.213.0.2")
    assert record.client_address_at_server == "10.213.0.1"
    assert record.mss_bytes == (1448 if protocol == "tcp" else None)
    assert record.congestion_control == wanted["congestion_control"]


@pytest.mark.parametrize("name", COMPLETE)
def test_intervals_cover_the_measured_seconds_without_the_omitted_ones(name: str) -> None:
    record = parse(output(f"iperf3-{name}.jsonl"))
    assert len(record.intervals) == 2
    assert record.intervals[0].t_rel_s == pytest.approx(0, abs=0.01)
    assert sum(i.duration_s for i in record.intervals) == pytest.approx(2, rel=0.01)
    assert record.duration_s == pytest.approx(2, rel=0.01)


def test_goodput_is_the_receivers_in_both_directions() -> None:
    server = part(TCP_4, "server_output_json")["end"]["sum_received"]
    assert parse(TCP_4).metrics["throughput_bits_per_s"] == pytest.approx(server["bits_per_second"])
    client = part(TCP_4_REVERSE, "end")["sum_received"]
    assert parse(TCP_4_REVERSE).metrics["throughput_bits_per_s"] == client["bits_per_second"]
    assert parse(TCP_4_REVERSE).metrics["sent_bits_per_s"] != client["bits_per_second"]


def test_each_of_two_directions_at_once_has_its_own_receivers_goodput() -> None:
    metrics, end = parse(TCP_4_BOTH).metrics, part(TCP_4_BOTH, "end")
    server = part(TCP_4_BOTH, "server_output_json")["end"]
    forward, back = metrics["throughput_bits_per_s"], metrics["throughput_reverse_bits_per_s"]
    assert forward == pytest.approx(server["sum_received"]["bits_per_second"])
    assert back == end["sum_received_bidir_reverse"]["bits_per_second"]
    assert metrics["sent_reverse_bits_per_s"] == end["sum_sent_bidir_reverse"]["bits_per_second"]
    assert end["sum_sent_bidir_reverse"]["bytes"] == server["sum_sent_bidir_reverse"]["bytes"]
    assert "throughput_reverse_bits_per_s" not in parse(TCP_4).metrics


def test_round_trip_and_retransmits_are_the_senders_without_the_omitted_seconds() -> None:
    rtt = [
        stream["rtt"]
        for event in events(TCP)
        if event["event"] == "interval" and not event["data"]["sum"]["omitted"]
        for stream in event["data"]["streams"]
    ]
    assert parse(TCP).metrics["rtt_us_mean"] == sum(rtt) / len(rtt)
    reverse = parse(TCP_4_REVERSE).metrics
    sender = part(TCP_4_REVERSE, "server_output_json")["end"]["sum_sent"]
    assert reverse["retransmits"] == sender["retransmits"] > 0
    assert reverse["rtt_us_mean"] is not None, "the receiving client says 0, its server knows"


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_lost_and_reordered_datagrams_are_the_receivers(direction: str) -> None:
    text = output(f"iperf3-udp-{direction}-reordered.jsonl")
    metrics = parse(text).metrics
    assert metrics["lost_percent"] == pytest.approx(2.0, abs=0.1)
    assert metrics["lost_datagrams"] == part(text, "end")["sum_received"]["lost_packets"]
    assert metrics["out_of_order"] == 154
    assert metrics["datagrams"] == part(text, "end")["sum_sent"]["packets"]
    jitter_ms = part(text, "end")["sum_received"]["jitter_ms"]
    assert metrics["jitter_us"] == pytest.approx(1000 * jitter_ms)


def test_metrics_are_those_of_the_protocol() -> None:
    columns = {column.name for column in MEASUREMENTS}
    assert set(parse(TCP).metrics) | set(parse(UDP).metrics) <= columns
    rates = {"throughput_bits_per_s", "sent_bits_per_s"}
    assert set(parse(TCP).metrics) == rates | {"retransmits", "rtt_us_mean"}
    assert set(parse(UDP).metrics) == rates | {
        "lost_percent", "lost_datagrams", "datagrams", "out_of_order", "jitter_us",
    }  # fmt: skip


def test_the_first_interval_begins_when_the_omission_ends_whether_or_not_that_is_told() -> None:
    record = parse(output("iperf3-tcp-omission-unreported.jsonl"))
    for intervals in (record.intervals, record.received_intervals):
        first, second = intervals[0], intervals[1]
        assert first.t_rel_s == 0
        assert second.t_rel_s == pytest.approx(1, abs=0.01)
        assert first.duration_s == pytest.approx(1, abs=0.01)
        assert first.bits_per_s == pytest.approx(8e6, rel=0.1)  # 8 Mbit/s were asked for
    assert record.effective["omit_s"] == 2
