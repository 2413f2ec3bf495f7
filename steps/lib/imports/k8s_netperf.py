"""Results of k8s-netperf, its CSV and its JSON: one line or document for each scenario.

A value is a mean of samples, so a scenario is one run, whatever its samples, and of more than one
sample percentiles are means of percentiles, which are no percentiles: left away. A zero is what
k8s-netperf writes where it has no value (its issues 255 and 261).
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from steps.lib.imports.runs import DamagedError, Found, damaged
from steps.lib.traffic.strict_json import DECODER

COLUMNS = {
    "Driver": "driver", "Profile": "profile", "Same node": "local", "Host Network": "hostNetwork",
    "Service": "service", "Duration": "duration", "Parallelism": "parallelism",
    "# of Samples": "samples", "Message Size": "messageSize", "Avg Throughput": "throughput",
    "Throughput Metric": "tputMetric", "99%tile Observed Latency": "latency",
    "Latency Metric": "ltcyMetric",
}  # fmt: skip
"""Heads of the CSV, by the JSON's key for the same."""

TRAFFIC = {
    "TCP_STREAM": "tcp-stream", "UDP_STREAM": "udp-stream", "TCP_RR": "tcp-rr",
    "TCP_CRR": "tcp-crr", "UDP_RR": "udp-rr",
}  # fmt: skip


def fits(text: str) -> bool:
    """Whether it looks like such results."""
    return "Driver,Profile," in text[:200] or all(
        f'"{k}"' in text for k in ("tputMetric", "hostNetwork")
    )


def read(text: str) -> list[Found]:
    """Every scenario."""
    if "Driver,Profile," not in text[:200]:
        return _documents(text)
    reader = csv.DictReader(io.StringIO(text))
    try:
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        return [damaged("line 1", text.encode(), f"is no CSV: {error}")]
    return [_line(number, line) for number, line in lines]


def _documents(text: str) -> list[Found]:
    begin = min((at for at in (text.find("["), text.find("{")) if at >= 0), default=0)
    try:
        found, _ = DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError) as error:
        return [damaged("line 1", text.encode(), f"is not JSON: {error}")]
    documents = found if isinstance(found, list) else [found]
    return [_scenario(f"document {n}", document) for n, document in enumerate(documents, 1)]


def _line(number: int, line: Mapping[str | None, str | None]) -> Found:
    where, raw = f"line {number}", json.dumps(line, default=str).encode()
    if None in line or None in line.values() or not COLUMNS.keys() <= line.keys():
        return damaged(where, raw, "the line has more or fewer fields than the first one")
    return _scenario(where, {key: line[head] for head, key in COLUMNS.items()})


def _scenario(where: str, document: Any) -> Found:
    raw = json.dumps(document).encode()
    try:
        return _run(where, raw, document)
    except (DamagedError, TypeError, ValueError, KeyError) as error:
        said = str(error) if isinstance(error, DamagedError) else f"cannot be used: {error!r}"
        return damaged(where, raw, said)


def _run(where: str, raw: bytes, document: Mapping[str, Any]) -> Found:
    traffic = TRAFFIC.get(document["profile"])
    if traffic is None:
        raise DamagedError(f"profile {document['profile']!r} is not imported")
    rate, samples = float(document["throughput"]), int(document["samples"])
    if not 0 < rate < 1e9:
        raise DamagedError(f"throughput is {rate}, which is written where there is no value")
    is_stream = traffic.endswith("stream")
    if document["tputMetric"] != ("Mb/s" if is_stream else "OP/s"):
        raise DamagedError(f"unit {document['tputMetric']!r} of {document['profile']}")
    if traffic == "udp-stream":
        raise DamagedError("whether a UDP rate is the sender's or the receiver's is not said")
    latency_us = float(document["latency"])
    metrics = {
        "throughput_bits_per_s": rate * 1e6 if is_stream else None,
        "transactions_per_s": None if is_stream else rate,
        "latency_us_p99": latency_us if not is_stream and samples == 1 and latency_us > 0 else None,
    }
    asked = {
        "traffic": traffic,
        "protocol": traffic[:3],
        "direction": "forward" if is_stream else None,
        "streams": int(document["parallelism"]),
        "duration_s_asked": int(document["duration"]),
        "message_bytes": int(document["messageSize"]) if is_stream else None,
    }
    remark = f"mean of {samples} samples, which are one run"
    names = {"path": _path(document)}
    tool = str(document["driver"])
    return Found(where, raw, asked=asked, metrics=metrics, tool=tool, remark=remark, names=names)


def _path(document: Mapping[str, Any]) -> str:
    host, service, same = (
        _flag(document.get(k, False)) for k in ("hostNetwork", "service", "local")
    )
    if host and service:
        return "host-to-service"
    if host:
        return "in-host" if same else "host-to-host"
    if service:
        return "pod-service"
    return "same-node" if same else "cross-node"


def _flag(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise DamagedError(f"{value!r} is neither true nor false")
