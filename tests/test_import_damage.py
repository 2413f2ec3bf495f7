"""Damage of every kind that was seen: a row with a status and a reason, and never a number."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.iperf3_documents import tcp, udp
from tests.test_import_forms import NETPERF, TEXT, one


def broken(change: Callable[[dict[str, Any]], object]) -> str:
    document = tcp()
    change(document)
    return json.dumps(document)


DAMAGE: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty"),
    "not text": (b"\xff\xfe{", "is not text"),
    "another form": ("hello", "is of no known form"),
    "cut off": (json.dumps(tcp())[:-30], "is not JSON"),
    "wrapped by a terminal": (
        json.dumps(tcp()).replace("test_start", "test_\nstart"),
        "is not JSON",
    ),
    "colours of a terminal": (
        "\x1b[32m" + json.dumps(tcp()).replace('"end"', '\x1b[0m"end"'),
        "not JSON",
    ),
    "interrupted, with all sums": (
        broken(lambda d: d.update(error="interrupt - the client has terminated")),
        "iperf3 reports an error: interrupt",
    ),
    "interrupted, the error beside it": (
        json.dumps(tcp()) + "\niperf3: error - unable to receive results\n",
        "iperf3 says after it",
    ),
    "too short": (broken(lambda d: d["intervals"].pop()), "it ran 2.00 s of 3 s"),
    "no intervals": (broken(lambda d: d.update(intervals=[])), "it has no intervals"),
    "nothing arrived": (
        broken(lambda d: d["end"]["sum_received"].update(bytes=0, bits_per_second=0)),
        "nothing arrived",
    ),
    "more arrived than was sent": (
        broken(lambda d: d["end"]["sum_received"].update(bytes=6 * 10**9, bits_per_second=16e9)),
        "more arrived",
    ),
    "another unit": (broken(lambda d: d["end"]["sum_sent"].update(bits_per_second=8e6)), "rate"),
    "a number in quotes": (
        broken(lambda d: d["end"]["sum_sent"].update(bytes="1")),
        "sum_sent.bytes",
    ),
    "not a number": (json.dumps(tcp()).replace("8000000000.0", "NaN"), "NaN is not a number"),
    "a key twice": (json.dumps(tcp()).replace('"omit": 0', '"omit": 0, "omit": 9'), "key twice"),
    "both ways": (broken(lambda d: d["start"]["test_start"].update(bidir=1)), "both directions"),
    "a stream is missing": (
        broken(lambda d: d["start"]["test_start"].update(num_streams=2)),
        "1 of 2 streams",
    ),
    "a server's": (
        json.dumps(tcp(accepted_connection={"host": "10.0.0.1", "port": 1})),
        "is the server's document",
    ),
    "losses that disagree": (
        json.dumps(udp()).replace('"lost_packets": 10', '"lost_packets": 90000'),
        "lost_percent is",
    ),
    "words cut off": (TEXT[:-13], "0 lines 'iperf Done.'"),
    "words of a server": ("[ ID] Interval           Transfer     Bitrate\n", "has no client"),
    "words of a wrong unit": (TEXT.replace("5.01 Mbits", "5.01 Kbits"), "its bytes make"),
    "words without their intervals": (
        "\n".join(line for line in TEXT.split("\n") if "-1.00" not in line and "1.00-" not in line),
        "it has no intervals",
    ),
    "words and an error": ("iperf3: interrupt - the client has terminated\n" + TEXT, "iperf3 says"),
    "a receiver of another length": (
        broken(lambda d: d["end"]["sum_received"].update(seconds=1.0, bits_per_second=24e9)),
        "the receiver counted 1.0 s",
    ),
    "next to nothing arrived": (
        broken(lambda d: d["end"]["sum_received"].update(bytes=3, bits_per_second=8.0)),
        "less arrived",
    ),
    "a number no table holds": (json.dumps(tcp(tcp_mss_default=10**19)), "no such number"),
    "a server that failed": (
        broken(lambda d: d.update(server_output_json={"error": "busy"})),
        "the server reports an error",
    ),
    "words without lines": (
        "Connecting to host 10.0.0.2, port 1\n\niperf Done.\n",
        "no lines of numbers",
    ),
    "netperf's key twice": (
        NETPERF.split("\n")[0] + "\nTHROUGHPUT=2\nTHROUGHPUT_UNITS=Trans/s\nTHROUGHPUT=1\n",
        "a key twice",
    ),
    "netperf cut off": (NETPERF[:-20], "cut off"),
    "netperf without values": (
        NETPERF.replace("12,20.00,53,49000.000,49000.00,Trans/s\n", ""),
        "values",
    ),
    "netperf disagrees": (NETPERF.replace("49000.000", "59000.000"), "not its TRANSACTION_RATE"),
    "netperf's latency in ms": (NETPERF.replace("20.00", "0.02"), "s a second, not 1"),
    "netperf's other test": (
        NETPERF.replace("TCP REQUEST/RESPONSE", "SCTP STREAM"),
        "not imported",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_a_row_with_a_reason_and_no_number(tmp_path: Path, case: str) -> None:
    text, reason = DAMAGE[case]
    run = one(tmp_path, text)
    assert run.status in ("failed", "invalid")
    assert reason in str(run.reason)
