"""Documents of ``iperf3 --json``, 3.0 and later, as clients have written them.

Unlike our own reader (``steps/lib/traffic/iperf3_reading.py``) this one takes what people have:
old versions, several documents one after the other, other words between them. What one document
says twice has to agree, and an interrupted run is told by its ``error`` or by its length: its sums
look complete (seen with 3.18).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from steps.lib.imports.iperf3_parts import Document, Interval, Start, Sum
from steps.lib.imports.runs import DamagedError, Found, damaged
from steps.lib.traffic.strict_json import DECODER

SAME = 1e-4
"""Relative difference between a rate and its bytes: both are computed from one count."""

AGREEMENT = 0.01
"""Between two counts of the same bytes, whose instants differ by some blocks."""

SHORTEST = 0.98
LATE_END_S = 0.1
LEAST_ARRIVED = 0.9
"""Of what a TCP sender counted; the rest is in buffers. In 266 published runs at least 0.998."""

SHORTEST_RECEIVED, LONGEST_RECEIVED = 0.9, 1.5
"""The receiver's seconds over the sender's; in published runs up to 1.09."""


def fits(text: str) -> bool:
    """Whether it looks like such documents, whole or not."""
    return '"start"' in text and any(f'"{key}"' in text for key in ("test_start", "connected"))


def read(text: str) -> list[Found]:
    """Every document of the text as a run; a broken one is a run without numbers."""
    if text.lstrip().startswith('{"event":'):
        return [_stream(text.strip())]
    return [
        replace(
            _judged(where, raw, document, beside),
            identity=_cookie(document),
            serves=_serves(document),
        )
        for where, raw, document, beside in _documents(text)
    ]


Piece = tuple[str, str, Any, str]
"""Where, its words, the document or why it is none, and the words after it."""


def _documents(text: str) -> Iterator[Piece]:
    at = text.find("{")
    while at >= 0:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        where = f"line {line}" + (f", column {column}" if column > 1 else "")
        try:
            document, end = DECODER.raw_decode(text, at)
            following = text.find("{", end)
        except (ValueError, RecursionError) as error:
            # What is inside of a broken document is none: the next one begins a line.
            following = text.find("\n{", at) + 1 or -1
            document, end = f"is not JSON: {error}", following if following > 0 else len(text)
        beside = text[end:following] if following > 0 else text[end:]
        yield where, text[at:end], document, beside.strip()
        at = following


def _stream(text: str) -> Found:
    """``--json-stream``: the same parts, one a line."""
    parts: dict[str, Any] = {"intervals": []}
    try:
        for line in text.splitlines():
            event = DECODER.decode(line)
            name, data = event["event"], event["data"]
            if name == "interval":
                parts["intervals"].append(data)
            elif name in parts:
                raise DamagedError(f"it has two `{name}` events")
            else:
                parts[name] = data
    except (ValueError, RecursionError, KeyError, TypeError, DamagedError) as error:
        return damaged("line 1", text.encode(), f"is no stream of iperf3's events: {error}")
    return _judged("line 1", text, parts, "")


def _start(document: Any) -> Mapping[str, Any]:
    start = document.get("start") if isinstance(document, dict) else None
    return start if isinstance(start, dict) else {}


def _cookie(document: Any) -> str | None:
    cookie = _start(document).get("cookie")
    return cookie if isinstance(cookie, str) else None


def _serves(document: Any) -> bool:
    return "accepted_connection" in _start(document)


def _judged(where: str, raw: str, document: Any, beside: str) -> Found:
    words = raw.encode()
    if isinstance(document, str):
        return damaged(where, words, document)
    if not isinstance(document, dict) or "start" not in document:
        return damaged(where, words, "is no document of iperf3")
    if "error" in document:  # before the sums: they look complete
        return _failed(where, words, document, f"iperf3 reports an error: {document['error']}")
    if "Connecting to host " in beside:
        return damaged(where, words, "words of another run stand beside it; split the file")
    own = document.get("server_output_json")
    if isinstance(own, dict) and "error" in own:
        return _failed(where, words, document, f"the server reports an error: {own['error']}")
    if "iperf3: " in beside:
        return _failed(where, words, document, f"iperf3 says after it: {beside[:120]}")
    if _serves(document):
        return damaged(where, words, "is the server's document; the client's has the numbers")
    try:
        parts = Document.model_validate(document)
        return _run(where, words, parts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        return damaged(where, words, f"{place} cannot be used: {first['msg']}")
    except DamagedError as error:
        return damaged(where, words, str(error))


def _failed(where: str, raw: bytes, document: Mapping[str, Any], reason: str) -> Found:
    """A run that iperf3 gave up; what was asked of it is believed, if it is there."""
    try:
        asked = _asked(Start.model_validate(document["start"]))
    except ValidationError:
        asked = {}
    return replace(damaged(where, raw, reason, "failed"), asked=asked)


def _run(where: str, raw: bytes, document: Document) -> Found:
    start, test = document.start, document.start.test_start
    if test.bidir:
        raise DamagedError("both directions at once are not imported: their sums are two runs")
    is_udp = test.protocol == "UDP"
    sent, received = _sides(document)
    measured = [i.sum for i in document.intervals if not i.sum.omitted]
    _check(document, measured, sent, received)
    moment = start.timestamp.timesecs if start.timestamp else None
    metrics = {
        "duration_s": received.seconds,
        "throughput_bits_per_s": received.bits_per_second,
        "sent_bits_per_s": sent.bits_per_second,
        "mss_bytes": None if is_udp else start.tcp_mss_default or start.tcp_mss,
        "retransmits": None if is_udp else sent.retransmits,
    }
    return Found(
        where,
        raw,
        asked=_asked(start),
        metrics=metrics | (_datagrams(document) if is_udp else {}),
        tool="iperf3",
        tool_version=start.version,
        started_at=datetime.fromtimestamp(moment, UTC) if moment else None,
        remark=None if document.end.sum_received else "received: what was sent, less what was lost",
    )


def _asked(start: Start) -> dict[str, Any]:
    test = start.test_start
    is_udp = test.protocol == "UDP"
    rate = test.target_bitrate or start.target_bitrate or 0
    return {
        "traffic": f"{test.protocol.lower()}-stream",
        "protocol": test.protocol.lower(),
        "direction": "reverse" if test.reverse else "forward",
        "streams": test.num_streams,
        "duration_s_asked": test.duration or None,
        "omit_s": test.omit,
        "message_bytes": test.blksize,
        "offered_bits_per_s": rate * test.num_streams if is_udp and rate else None,
    }


def _sides(document: Document) -> tuple[Sum, Sum]:
    """What was sent and what was received. Before 3.10 or so UDP has one sum, the sender's."""
    end = document.end
    if end.sum_sent and end.sum_received:
        return end.sum_sent, end.sum_received
    total = end.sum
    if total is None or not total.packets:
        raise DamagedError("the sums at the end are missing")
    arrived = 1 - (total.lost_packets or 0) / total.packets
    changes = {
        "bytes": round(total.bytes * arrived),
        "bits_per_second": total.bits_per_second * arrived,
    }
    return total, total.model_copy(update=changes)


def _datagrams(document: Document) -> dict[str, Any]:
    end = document.end
    total = end.sum_received if end.sum_received and end.sum_received.packets else end.sum
    if total is None or not total.packets or total.lost_packets is None:
        raise DamagedError("the receiver's count of datagrams is missing")
    # iperf3 3.16 divides by what was sent, and says what arrived or was lost beside it.
    sent = end.sum_sent.packets if end.sum_sent else None
    percent = 100 * total.lost_packets / (sent or total.packets)
    if total.lost_packets > total.packets or abs(percent - (total.lost_percent or 0.0)) > 0.01:
        raise DamagedError(f"lost_percent is {total.lost_percent}, its counts make {percent:.4g}")
    jitter_ms = total.jitter_ms
    return {
        "datagrams": total.packets,
        "lost_datagrams": total.lost_packets,
        "lost_percent": percent,
        "jitter_us": None if jitter_ms is None else 1000 * jitter_ms,
    }


def _check(document: Document, measured: Sequence[Interval], sent: Sum, received: Sum) -> None:
    """The run took its time, and what is said twice agrees."""
    test = document.start.test_start
    if not received.bytes or not sent.bytes:
        raise DamagedError("nothing was sent, or nothing arrived")
    if not measured:
        raise DamagedError("it has no intervals: whether the run was whole cannot be seen")
    ran_s = sum(interval.measured_s for interval in measured)
    if test.duration and ran_s < SHORTEST * test.duration:
        raise DamagedError(f"it ran {ran_s:.2f} s of {test.duration} s")
    sums = [("sum_sent", document.end.sum_sent), ("sum_received", document.end.sum_received)]
    if not document.end.sum_sent:  # else it mixes the sender's bytes with the other's seconds
        sums.append(("sum", document.end.sum))
    for name, total in sums:
        if total and total.bytes:
            _agree(f"{name}'s rate", total.bytes * 8 / total.seconds, total.bits_per_second, SAME)
    for interval in measured:
        rate = interval.bytes * 8 / interval.seconds
        _agree("an interval's rate", rate, interval.bits_per_second, SAME)
    own = received if test.reverse else sent
    slack = LATE_END_S * own.bits_per_second / 8
    counted = sum(interval.bytes for interval in measured)
    _agree("the bytes of all intervals", counted, own.bytes, AGREEMENT, slack)
    _agree("their time", ran_s, own.seconds, AGREEMENT, LATE_END_S)
    if received.bytes > (1 + AGREEMENT) * sent.bytes + slack:
        raise DamagedError("more arrived than was sent")
    if not SHORTEST_RECEIVED <= received.seconds / sent.seconds <= LONGEST_RECEIVED:
        raise DamagedError(
            f"the receiver counted {received.seconds} s, the sender {sent.seconds} s"
        )
    if test.protocol == "TCP" and received.bytes < LEAST_ARRIVED * sent.bytes:
        raise DamagedError("of TCP less arrived than was sent")
    if len(document.start.connected) != test.num_streams:
        raise DamagedError(f"it has {len(document.start.connected)} of {test.num_streams} streams")


def _agree(what: str, found: float, said: float, share: float, slack: float = 0.0) -> None:
    if abs(found - said) > share * max(found, said) + slack:
        raise DamagedError(f"{what}: {found:.6g}, and {said:.6g} is said elsewhere")
