"""The words of netperf 2.6 and later: its tables, ``-o`` (comma-separated) and ``-k`` (key=value).

netperf ends with status 0 when it is interrupted, and its elapsed time is the only sign: where the
words hold none, the remark says so. ``THROUGHPUT`` is what the receiver got (seen with UDP_STREAM
of 2.7.1: it equals ``REMOTE_RECV_THROUGHPUT`` and not ``LOCAL_SEND_THROUGHPUT``).
"""

import re
from collections.abc import Mapping

from steps.lib.imports.runs import DamagedError, Found, damaged

_BANNER = re.compile(r"(?:MIGRATED|OMNI) (.+?) TEST(?: from .*)?$", re.MULTILINE)
TRAFFIC = {
    "TCP STREAM": ("tcp-stream", "forward"),
    "TCP MAERTS": ("tcp-stream", "reverse"),
    "UDP STREAM": ("udp-stream", "forward"),
    "TCP REQUEST/RESPONSE": ("tcp-rr", None),
    "TCP CONNECT/REQUEST/RESPONSE": ("tcp-crr", None),
    "UDP REQUEST/RESPONSE": ("udp-rr", None),
}
"""What a banner names: kind of traffic and direction."""

_SCALES = {
    "Mbits": 1e6, "10^6bits": 1e6, "10^3bits": 1e3, "10^9bits": 1e9, "10^0bits": 1.0,
    "KBytes": 8 * 1024.0, "MBytes": 8 * 1024.0**2, "GBytes": 8 * 1024.0**3, "Bytes": 8.0,
}  # fmt: skip
_LATENCIES = {"MIN": "min", "MEAN": "mean", "P50": "p50", "P90": "p90", "P99": "p99", "MAX": "max"}
_HEADS = {
    "Minimum Latency Microseconds": "MIN_LATENCY",
    "Mean Latency Microseconds": "MEAN_LATENCY",
    "Maximum Latency Microseconds": "MAX_LATENCY",
    "50th Percentile Latency Microseconds": "P50_LATENCY",
    "90th Percentile Latency Microseconds": "P90_LATENCY",
    "99th Percentile Latency Microseconds": "P99_LATENCY",
    "Transaction Rate Tran/s": "TRANSACTION_RATE",
    "Throughput": "THROUGHPUT",
    "Throughput Units": "THROUGHPUT_UNITS",
    "Elapsed Time (sec)": "ELAPSED_TIME",
}
"""Heads of ``-o``, by the key that ``-k`` writes for the same."""

ROUNDING = 0.01


def fits(text: str) -> bool:
    """Whether it looks like such words."""
    return _BANNER.search(text) is not None


def read(text: str) -> list[Found]:
    """Every run, from one banner to the next."""
    text = text.replace("\r\n", "\n")
    banners = list(_BANNER.finditer(text))
    ends = [banner.start() for banner in banners[1:]] + [len(text)]
    return [_run(text, banner, end) for banner, end in zip(banners, ends, strict=True)]


def _run(text: str, banner: re.Match[str], end: int) -> Found:
    where = f"line {text.count(chr(10), 0, banner.start()) + 1}"
    words = text[banner.start() : end]
    raw = words.encode()
    kind = TRAFFIC.get(banner[1].upper())
    if kind is None:
        return damaged(where, raw, f"netperf's test {banner[1][:60]!r} is not imported")
    if not words.endswith("\n"):
        return damaged(where, raw, "is cut off within its last line")
    try:
        return _whole(where, words, raw, *kind)
    except DamagedError as error:
        return damaged(where, raw, str(error))


def _whole(where: str, words: str, raw: bytes, traffic: str, direction: str | None) -> Found:
    keys = _of_keys(words) or _of_commas(words) or _of_table(words, traffic)
    if not keys:
        raise DamagedError("netperf's results are missing, or of no known form")
    seconds = _number(keys, "ELAPSED_TIME") if "ELAPSED_TIME" in keys else None
    asked = {
        "traffic": traffic,
        "protocol": traffic[:3],
        "direction": direction,
        "streams": 1 if direction else None,
    }
    metrics: dict[str, float | None] = {"duration_s": seconds}
    if direction:
        metrics["throughput_bits_per_s"] = _rate(keys)
    else:
        metrics |= _transactions(keys)
    remark = None if seconds else "how long it ran is not said: an interrupted run looks the same"
    return Found(where, raw, asked=asked, metrics=metrics, tool="netperf", remark=remark)


def _of_keys(words: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", words, re.MULTILINE))


def _of_commas(words: str) -> dict[str, str]:
    lines = words.rstrip("\n").split("\n")
    heads = next((n for n, line in enumerate(lines) if "Throughput,Throughput Units" in line), None)
    if heads is None:
        return {}
    names = lines[heads].split(",")
    values = lines[heads + 1].split(",") if len(lines) > heads + 1 else []
    if len(values) != len(names):
        raise DamagedError(f"netperf's {len(names)} heads have {len(values)} values")
    return {_HEADS[n]: v for n, v in zip(names, values, strict=True) if n in _HEADS}


def _of_table(words: str, traffic: str) -> dict[str, str]:
    """The rows of numbers below the heads; of UDP the second is the receiver's."""
    rows = [
        line.split() for line in words.split("\n") if re.fullmatch(r"[ 0-9.]*[0-9][ 0-9.]*", line)
    ]
    unit = re.search(r"([0-9A-Za-z^]+)/sec", words)
    if traffic == "udp-stream":
        if [len(row) for row in rows] != [6, 4] or not unit:
            return {}
        return {"ELAPSED_TIME": rows[1][1], "THROUGHPUT": rows[1][3], "THROUGHPUT_UNITS": unit[1]}
    if traffic == "tcp-stream":
        if [len(row) for row in rows] != [5] or not unit:
            return {}
        return {"ELAPSED_TIME": rows[0][3], "THROUGHPUT": rows[0][4], "THROUGHPUT_UNITS": unit[1]}
    if not rows or len(rows[0]) != 6:
        return {}
    return {"ELAPSED_TIME": rows[0][4], "TRANSACTION_RATE": rows[0][5]}


def _rate(keys: Mapping[str, str]) -> float:
    unit = keys.get("THROUGHPUT_UNITS", "").split("/")[0]
    if unit not in _SCALES:
        raise DamagedError(f"netperf's unit {unit[:40]!r} is not known")
    rate = _number(keys, "THROUGHPUT") * _SCALES[unit]
    received = keys.get("REMOTE_RECV_THROUGHPUT")
    if (
        received
        and abs(_number(keys, "REMOTE_RECV_THROUGHPUT") * _SCALES[unit] - rate) > ROUNDING * rate
    ):
        raise DamagedError(f"netperf's THROUGHPUT is not what was received, {received}")
    return rate


def _transactions(keys: Mapping[str, str]) -> dict[str, float | None]:
    both = keys.get("THROUGHPUT_UNITS") == "Trans/s"
    if "TRANSACTION_RATE" not in keys and not both:
        raise DamagedError("netperf's rate of transactions is missing")
    rate = _number(keys, "TRANSACTION_RATE" if "TRANSACTION_RATE" in keys else "THROUGHPUT")
    if both and abs(_number(keys, "THROUGHPUT") - rate) > 0.02:
        raise DamagedError("netperf's THROUGHPUT is not its TRANSACTION_RATE")
    found = {
        f"latency_us_{ours}": _number(keys, f"{theirs}_LATENCY")
        for theirs, ours in _LATENCIES.items()
        if f"{theirs}_LATENCY" in keys
    }
    mean_us = found.get("latency_us_mean")
    if mean_us and not 0.7 <= rate * mean_us / 1e6 <= 1.05:
        raise DamagedError(
            f"rate times mean latency is {rate * mean_us / 1e6:.3g} s a second, not 1"
        )
    order = [
        found[k]
        for k in (
            "latency_us_min",
            "latency_us_p50",
            "latency_us_p90",
            "latency_us_p99",
            "latency_us_max",
        )
        if k in found
    ]
    if order != sorted(order):
        raise DamagedError("netperf's percentiles are not in order")
    return {"transactions_per_s": rate, **found}


def _number(keys: Mapping[str, str], key: str) -> float:
    text = keys.get(key, "")
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]+)?", text) or float(text) <= 0:
        if text == "0" and key == "MIN_LATENCY":
            return 0.0
        raise DamagedError(f"netperf's {key} is no number above 0: {text[:40]!r}")
    return float(text)
