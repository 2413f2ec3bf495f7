"""What ``transact`` prints, event by event, read with suspicion.

A good run is, and nothing else: ``start``, the omitted ``interval`` events, ``window`` (its
start), the measured ``interval`` events, ``window`` (its end), ``end``. What is said twice must
agree.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from steps.lib.traffic.lines import lines_of
from steps.lib.traffic.protocol import DocumentError

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(ge=0)]


class Event(BaseModel):
    """One line. Strict: a number in quotes is none, and an unknown key is another program's."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="forbid")


class Start(Event):
    """The call as the program took it, and the socket that it got."""

    event: Literal["start"]
    version: str
    protocol: Literal["tcp", "udp"]
    connections: Literal["one", "each"]
    request_bytes: Positive
    response_bytes: Positive
    omit_s: Count
    duration_s: Positive
    rate_per_s: Count
    client_address: str
    client_port: Positive
    server_address: str
    server_port: Positive
    mss_bytes: Positive | None = None
    congestion_control: str | None = None
    send_buffer_bytes: Count
    receive_buffer_bytes: Count
    started_utc_s: Number


class Part(Event):
    """One interval, in seconds since the window, or what is left out before it, began."""

    event: Literal["interval"]
    omitted: bool
    start_s: Number
    end_s: Number
    transactions: Count


class Edge(Event):
    """An edge of the measured window."""

    event: Literal["window"]
    edge: Literal["start", "end"]


class Latency(Event):
    """Of all transactions in the window."""

    min: Count
    mean: Number
    max: Count
    stddev: Number


class End(Event):
    """The window as a whole. ``histogram`` has lower edge, upper edge (exclusive), count."""

    event: Literal["end"]
    seconds: Number
    transactions: Positive
    lost: Count
    latency_ns: Latency
    histogram: list[tuple[Count, Positive, Positive]]


class Error(Event):
    """Why the run broke off."""

    event: Literal["error"]
    message: str


_EVENT: TypeAdapter[Start | Part | Edge | End | Error] = TypeAdapter(
    Annotated[Start | Part | Edge | End | Error, Field(discriminator="event")]
)


class Document(BaseModel):
    """A whole run."""

    start: Start
    omitted: tuple[Part, ...]
    measured: tuple[Part, ...]
    end: End


def read_document(output: bytes) -> Document:
    """The one complete document that ``output`` is; DocumentError says why it is not one."""
    events = [_event(line, number) for number, line in enumerate(lines_of(output), start=1)]
    for event in events:
        if isinstance(event, Error):
            raise DocumentError(f"transact reports an error: {event.message}")
    document = _in_order(events)
    _check_complete(document)
    return document


def _event(line: str, number: int) -> Start | Part | Edge | End | Error:
    try:
        return _EVENT.validate_python(_lists_as_tuples(json.loads(line)))
    except (ValueError, RecursionError) as error:
        said = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else error
        what = f"{said['loc']}: {said['msg']}" if isinstance(said, dict) else said
        raise DocumentError(f"line {number} is not an event of transact: {what}") from None


def _lists_as_tuples(event: Any) -> Any:
    """JSON has no tuples, and a strict model takes no list for one."""
    if isinstance(event, dict) and isinstance(buckets := event.get("histogram"), list):
        return event | {"histogram": [tuple(b) if isinstance(b, list) else b for b in buckets]}
    return event


def _in_order(events: Sequence[Start | Part | Edge | End | Error]) -> Document:
    names = [_name(event) for event in events]
    parts = [event for event in events if isinstance(event, Part)]
    omitted, measured = ([p for p in parts if p.omitted is left_out] for left_out in (True, False))
    wanted = ["start", *["omitted"] * len(omitted), "window start"]
    wanted += [*["interval"] * len(measured), "window end", "end"]
    first, last = events[0], events[-1]
    if names != wanted or not isinstance(first, Start) or not isinstance(last, End):
        raise DocumentError(f"transact's events are not in order: {', '.join(names)[:120]}")
    return Document(start=first, omitted=tuple(omitted), measured=tuple(measured), end=last)


def _name(event: Start | Part | Edge | End | Error) -> str:
    if isinstance(event, Part):
        return "omitted" if event.omitted else "interval"
    return f"window {event.edge}" if isinstance(event, Edge) else event.event


def _check_complete(document: Document) -> None:
    end, latency = document.end, document.end.latency_ns
    counts = {
        "its intervals": sum(part.transactions for part in document.measured),
        "its histogram": sum(bucket[2] for bucket in end.histogram),
    }
    for where, count in counts.items():
        if count != end.transactions:
            raise DocumentError(f"transact has {end.transactions} transactions, {where} {count}")
    _check_edges(document.measured, end.seconds)
    low, high = end.histogram[0], end.histogram[-1]
    if not (low[0] <= latency.min < low[1] and high[0] <= latency.max < high[1]):
        raise DocumentError("transact's shortest or longest transaction is not in its histogram")
    if any(a[1] > b[0] for a, b in pairwise(end.histogram)):
        raise DocumentError("transact's buckets are not in order")
    # One at a time: together they cannot take longer than the window. Paced ones count from when
    # they were due, so they can.
    share = end.transactions * latency.mean / 1e9 / max(end.seconds, 1e-9)
    if not document.start.rate_per_s and share > 1.001:
        raise DocumentError(f"transact's transactions take {share:.3g} s of each second")


def _check_edges(measured: Sequence[Part], seconds: float) -> None:
    edges_s = [0.0, *(part.end_s for part in measured)]
    whole = [part.start_s for part in measured] == edges_s[:-1] and edges_s[-1] == seconds
    if not measured or not whole or any(a >= b for a, b in pairwise(edges_s)):
        raise DocumentError("transact's intervals do not make up its window")
