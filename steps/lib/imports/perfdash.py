"""Results in the form of perfdash, which ``connectivity perf --report-dir`` writes.

Items are means or percentiles of one netperf run each, by scenario, node and test. UDP streams are
left away: netperf is asked for neither side's counts, and a rate without loss says little.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from steps.lib.imports.runs import DamagedError, Found, damaged
from steps.lib.traffic.strict_json import DECODER

TRAFFIC = {
    "netperf-TCP_STREAM": "tcp-stream", "netperf-UDP_STREAM": "udp-stream",
    "netperf-TCP_RR": "tcp-rr", "netperf-TCP_CRR": "tcp-crr", "netperf-UDP_RR": "udp-rr",
}  # fmt: skip
PATHS = {
    ("pod-to-pod", "same-node"): "same-node",
    ("pod-to-pod", "other-node"): "cross-node",
    ("host-to-host", "other-node"): "host-to-host",
    ("host-to-pod", "other-node"): "host-to-pod",
    ("pod-to-host", "other-node"): "pod-to-host",
}
UNITS = {"Latency": "us", "TransactionRate": "ops/s", "Throughput": "Mb/s"}


def fits(text: str) -> bool:
    """Whether it looks like such results."""
    return '"dataItems"' in text and '"test_type"' in text


def read(text: str) -> list[Found]:
    """One run for each scenario, node and test; where items come twice, one for each time."""
    try:
        document = DECODER.decode(text.strip())
        items = document["dataItems"]
        if document["version"] != "v1" or not isinstance(items, list):
            raise DamagedError("is of another version than v1")
        grouped = _grouped(items)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, DamagedError) as error:
        return [damaged("line 1", text.encode(), f"is no such result: {error}")]
    return [_run(place, labels, item) for place, (labels, item) in enumerate(grouped, 1)]


Labels = tuple[str, str, str]


def _grouped(items: list[Any]) -> list[tuple[Labels, dict[str, Any]]]:
    """The n-th item of each metric belongs to the n-th run of its labels."""
    counts: dict[tuple[Labels, str], int] = defaultdict(int)
    runs: dict[tuple[Labels, int], dict[str, Any]] = {}
    for item in items:
        said = item["labels"]
        labels = (str(said["scenario"]), str(said["node"]), str(said["test_type"]))
        metric = str(said["metric"])
        number = counts[labels, metric]
        counts[labels, metric] += 1
        runs.setdefault((labels, number), {})[metric] = item
    return [(labels, run) for (labels, _), run in runs.items()]


def _run(place: int, labels: Labels, items: Mapping[str, Any]) -> Found:
    where, raw = f"run {place}", json.dumps(items).encode()
    try:
        return _whole(where, raw, labels, items)
    except (DamagedError, ValueError, KeyError, TypeError) as error:
        said = str(error) if isinstance(error, DamagedError) else f"cannot be used: {error!r}"
        return damaged(where, raw, said)


def _whole(where: str, raw: bytes, labels: Labels, items: Mapping[str, Any]) -> Found:
    scenario, node, test = labels
    traffic = TRAFFIC.get(test)
    if traffic is None or traffic == "udp-stream":
        raise DamagedError(f"test {test!r} is not imported")
    for metric, item in items.items():
        if item["unit"] != UNITS.get(metric):
            raise DamagedError(f"{metric} in {item['unit']!r}")
    is_stream = traffic == "tcp-stream"
    metrics: dict[str, float] = {}
    if is_stream:
        metrics["throughput_bits_per_s"] = 1e6 * _value(items, "Throughput", "Throughput")
    else:
        metrics["transactions_per_s"] = _value(items, "TransactionRate", "Throughput")
        for percent in (50, 90, 99):
            metrics[f"latency_us_p{percent}"] = _value(items, "Latency", f"Perc{percent}")
        order = [metrics[f"latency_us_p{percent}"] for percent in (50, 90, 99)]
        if order != sorted(order):
            raise DamagedError("its percentiles are not in order")
    asked = {
        "traffic": traffic,
        "protocol": traffic[:3],
        "direction": "forward" if is_stream else None,
        "streams": 1 if is_stream else None,
    }
    return Found(
        where,
        raw,
        asked=asked,
        metrics=metrics,
        tool="netperf",
        remark="a sum without its parts: nothing in it can be checked",
        names={"path": PATHS.get((scenario, node), f"{scenario}-{node}")},
    )


def _value(items: Mapping[str, Any], metric: str, key: str) -> float:
    if metric not in items:
        raise DamagedError(f"has no {metric}")
    value = items[metric]["data"][key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise DamagedError(f"{metric} {key} is {value!r}")
    return float(value)
