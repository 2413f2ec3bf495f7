"""Reading the output of ``iperf3 --json-stream``, one event a line, with suspicion.

An exit status proves nothing here, nor does a full-looking sum: iperf3 3.18 ends a run that was
interrupted, or whose path went dead, with an ``error`` event *followed by* an ``end`` event that
carries all sums. So the whole output has to be one good document, or it is none.

Events of a good run, in this order (seen with 3.18; each line is flushed on its own):
``start``, one ``interval`` a second (``omitted: true`` for those of ``--omit``,
of which the last one may be missing),
``server_output_json`` (the server's own document, asked for with ``--get-server-output``), ``end``.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from steps.lib.traffic.iperf3_document import Document, Sum
from steps.lib.traffic.lines import lines_of
from steps.lib.traffic.protocol import DocumentError
from steps.lib.traffic.strict_json import DECODER

AGREEMENT = 0.01
"""Largest relative difference between two counts of the same bytes. iperf3's threads go on for
some blocks after a report: up to 0.01 % was seen between them."""

LATE_END_S = 0.1
"""On a busy machine a test ends some 10 ms after its last interval, and its sums hold those too."""

SECONDS_STEP = 1e-5
"""iperf3 rounds ``start`` and ``end`` of an interval to microseconds."""


def read_document(output: bytes) -> Document:
    """The one complete document that ``output`` is; DocumentError says why it is not one."""
    events = [_event(line, number) for number, line in enumerate(lines_of(output), start=1)]
    for name, data in events:
        if name == "error":  # before anything else: sums may follow it and look complete
            raise DocumentError(f"iperf3 reports an error: {data}")
    _check_sequence([name for name, _ in events])
    data = dict(events)
    if isinstance(data["server_output_json"], dict) and "error" in data["server_output_json"]:
        said = data["server_output_json"]["error"]
        raise DocumentError(f"the server's own document reports an error: {said}")
    try:
        document = Document.model_validate(
            data | {"intervals": [part for name, part in events if name == "interval"]}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise DocumentError(f"iperf3's {where} cannot be used: {first['msg']}") from None
    _check_complete(document)
    return document


def _event(line: str, number: int) -> tuple[str, Any]:
    """``{"event": ..., "data": ...}``; anything else is not from iperf3's event stream."""
    if not line.startswith('{"event":"'):
        raise DocumentError(f"line {number} is not an event of iperf3: {line[:60]!r}")
    try:
        event = DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"line {number} is not JSON: {error}") from None
    if event.keys() != {"event", "data"} or not isinstance(event["event"], str):
        raise DocumentError(f"line {number} is not an event of iperf3: {line[:60]!r}")
    return event["event"], event["data"]


def _check_sequence(names: Sequence[str]) -> None:
    counts = Counter(names)
    for name in ("start", "server_output_json", "end"):
        if counts[name] != 1:
            raise DocumentError(
                f"{counts[name]} `{name}` events instead of one: {', '.join(names)[:120]}"
            )
    intervals = ["interval"] * counts["interval"]
    if list(names) != ["start", *intervals, "server_output_json", "end"]:
        raise DocumentError(f"events out of order, or unknown ones: {', '.join(names)[:120]}")


def _check_complete(document: Document) -> None:
    """Nothing is missing, and what is said twice, also by the server, is the same."""
    start, test = document.start, document.start.test_start
    connections = test.num_streams * (1 + test.bidir)
    _require(
        start.connecting_to is not None and len(start.connected) == connections,
        f"not the document of a client with {connections} data connections",
    )
    _require(
        len(document.end.streams) == connections,
        f"{len(document.end.streams)} streams at the end, {connections} at the start",
    )
    _check_intervals(document)
    _check_rate("sum_sent", document.end.sum_sent)
    _check_rate("sum_received", document.end.sum_received)
    _require(document.end.sum_received.bytes > 0, "the receiver got nothing")
    own = document.end.sum_received if document.reverse else document.end.sum_sent
    measured = sum(i.bytes for i in document.measured)
    late = own.bits_per_second / 8 * LATE_END_S
    _agree("bytes", "the client's intervals", measured, own.bytes, slack=late)
    _check_server(document)
    _check_way_back(document)


def _check_way_back(document: Document) -> None:
    """Of both directions at once the second one is as complete as the first; of one there is none.

    Of either direction each side counts what it sent or received itself; in the client's document
    the server's counts are those that the server told it.
    """
    end, server = document.end, document.server_output_json.end
    sent, received = end.sum_sent_bidir_reverse, end.sum_received_bidir_reverse
    counted = [report.sum_bidir_reverse for report in document.intervals]
    if not document.bidirectional:
        _require(not any((sent, received, *counted)), "sums of a direction that was not asked for")
        return
    if sent is None or received is None or server.sum_sent_bidir_reverse is None:
        raise DocumentError("iperf3's document is not a complete run: no sums of the way back")
    _check_rate("sum_sent_bidir_reverse", sent)
    _check_rate("sum_received_bidir_reverse", received)
    _require(received.bytes > 0, "the client got nothing")
    ways = [way for way in counted if way is not None and not way.sender]
    _require(len(ways) == len(counted), "intervals lack the way back")
    late = received.bits_per_second / 8 * LATE_END_S
    found = sum(way.bytes for way in ways if not way.omitted)
    _agree("bytes back", "the client's intervals", found, received.bytes, slack=late)
    _agree("bytes back", "the server's", server.sum_sent_bidir_reverse.bytes, sent.bytes)


def _check_intervals(document: Document) -> None:
    """All intervals are there, the omitted ones first, and they follow each other without a gap."""
    test = document.start.test_start
    omitted = [report.sum.omitted for report in document.intervals]
    unreported = any(report.sum.is_unreported_omission for report in document.intervals)
    _require(not unreported or test.omit > 1, "an interval is longer than the time until its end")
    _require(
        omitted == [True] * (test.omit - unreported) + [False] * test.duration,
        f"{omitted.count(False)} measured intervals of {test.duration}, "
        f"{omitted.count(True)} omitted of {test.omit}",
    )
    _require(
        all(report.sum.sender != document.reverse for report in document.intervals),
        "an interval is of the other side",
    )
    measured = document.measured
    for left, right in pairwise(measured):
        _require(
            abs(right.start - left.end) <= SECONDS_STEP,
            f"a gap between the intervals, from {left.end} s to {right.start} s",
        )


def _check_server(document: Document) -> None:
    """The server's document is of this very run and counted the same."""
    server, client = document.server_output_json, document
    _require(server.start.cookie == client.start.cookie, "the server's document is of another run")
    _require(
        server.start.version == client.start.version,
        f"the server is {server.start.version}, the client {client.start.version}",
    )
    _require(
        server.start.test_start == client.start.test_start,
        "the server had other parameters in force than the client",
    )
    side = "sum_sent" if document.reverse else "sum_received"
    found, said = getattr(server.end, side), getattr(client.end, side)
    _agree(f"{side} bytes", "the server's", found.bytes, said.bytes)


def _check_rate(name: str, total: Sum) -> None:
    """Rate and bytes agree: this is where a wrong unit would show."""
    _agree(f"{name} bit/s", "its bytes", total.bytes * 8 / total.seconds, total.bits_per_second)


def _agree(what: str, second: str, found: float, said: float, slack: float = 0.0) -> None:
    _require(
        abs(found - said) <= AGREEMENT * max(found, said) + slack,
        f"{what}: {second} make {found:.0f}, the client's sum says {said:.0f}",
    )


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise DocumentError(f"iperf3's document is not a complete run: {problem}")
