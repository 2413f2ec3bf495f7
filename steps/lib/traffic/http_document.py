"""What ``http-load`` prints, event by event, read with suspicion.

A good run is, and nothing else: ``start``, ``window`` (its start), ``window`` (its end), ``end``.
The last holds h2load's own words; what they say must agree with its log of single requests.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from steps.lib.traffic.lines import lines_of
from steps.lib.traffic.protocol import DocumentError

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(ge=0)]

IN_FLIGHT_SHARE = (0.5, 1.05)
"""Rate times mean latency, of the requests that were to be in flight: the rest of the time passes
between an answer and the next request. A client with its own default of one at once is below."""

HEADERS_BYTES_MAX = 1000
"""Of an answer; nginx sends 250 bytes with HTTP/1.1. h2load's own sum of bodies is of no use: it
has those of the warm-up too, unlike everything else that it tells."""


class Event(BaseModel):
    """One line. Strict: a number in quotes is none, and an unknown key is another program's."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="forbid")


class Start(Event):
    """The tools, and what a connection of the program's own found."""

    event: Literal["start"]
    version: str
    server: str
    response_bytes: Positive
    requests_each: Positive
    client_address: str
    server_address: str
    server_port: Positive
    mss_bytes: Positive
    congestion_control: str
    started_utc_s: Number


class Edge(Event):
    """An edge of the measured window."""

    event: Literal["window"]
    edge: Literal["start", "end"]


class Latency(Event):
    """Of all requests that were answered in the window."""

    min: Count
    mean: Number
    max: Count
    stddev: Number


class End(Event):
    """The window as a whole. ``intervals`` are counts of its seconds, which are h2load's own.

    ``seconds`` is the time between the two lines that h2load prints at its edges, as it was read.

    ``served`` is by the server, in the ``served_s`` from its first answer to the window's end.
    """

    event: Literal["end"]
    seconds: Number
    served: Count
    served_s: Number
    said: list[str]
    requests: Positive
    failed: Count
    latency_us: Latency
    intervals: list[Count]
    histogram: list[tuple[Count, Positive, Positive]]


class Error(Event):
    """Why the run broke off."""

    event: Literal["error"]
    message: str


class Said(Event):
    """What h2load says of its run in words."""

    kind: Literal["http1", "http2"]
    connections: Positive
    omit_s: Count
    duration_s: Positive
    succeeded: Count
    failed: Count
    received_bytes: Count


class Document(BaseModel):
    """A whole run."""

    start: Start
    end: End
    said: Said


AnyEvent = Start | Edge | End | Error
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])
_KINDS: dict[str, Literal["http1", "http2"]] = {"http/1.1": "http1", "h2c": "http2"}
_WORDS = {
    "protocol": r"Application protocol: (\S+)",
    "clients": r"spawning thread #0: (\d+) total client\(s\)\. Timing-based test with (\d+)s of "
    r"warm-up time and (\d+)s of main duration for measurements\.",
    "requests": r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, "
    r"\d+ errored, \d+ timeout",
    "traffic": r"traffic: \S+ \((\d+)\) total, \S+ \(\d+\) headers \(space savings \S+\), "
    r"\S+ \(\d+\) data",
}


def read_document(output: bytes) -> Document:
    """The one complete document that ``output`` is; DocumentError says why it is not one."""
    events = [_event(line, number) for number, line in enumerate(lines_of(output), start=1)]
    for event in events:
        if isinstance(event, Error):
            raise DocumentError(f"http-load reports an error: {event.message}")
    names = [f"window {e.edge}" if isinstance(e, Edge) else e.event for e in events]
    start, end = events[0], events[-1]
    if names != ["start", "window start", "window end", "end"] or not (
        isinstance(start, Start) and isinstance(end, End)
    ):
        raise DocumentError(f"http-load's events are not in order: {', '.join(names)[:120]}")
    document = Document(start=start, end=end, said=_said(end.said))
    _check_counts(document)
    _check_histogram(end)
    return document


def _event(line: str, number: int) -> AnyEvent:
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]
        what = f"{said['loc']}: {said['msg']}"
        raise DocumentError(f"line {number} is not an event of http-load: {what}") from None


def _said(lines: Sequence[str]) -> Said:
    found = {}
    for name, pattern in _WORDS.items():
        matches = [match for line in lines if (match := re.fullmatch(pattern, line))]
        if len(matches) != 1:
            raise DocumentError(f"h2load has {len(matches)} lines about its {name}, not one")
        found[name] = matches[0].groups()
    protocol = found["protocol"][0]
    if protocol not in _KINDS:
        raise DocumentError(f"h2load spoke {protocol!r}, which is neither HTTP/1.1 nor h2c")
    clients, omit_s, duration_s = map(int, found["clients"])
    return Said(
        kind=_KINDS[protocol],
        connections=clients,
        omit_s=omit_s,
        duration_s=duration_s,
        succeeded=int(found["requests"][0]),
        failed=int(found["requests"][1]),
        received_bytes=int(found["traffic"][0]),
    )


def _check_counts(document: Document) -> None:
    start, end, said = document.start, document.end, document.said
    counts = {
        "h2load's words": said.succeeded,
        "its intervals": sum(end.intervals),
        "its histogram": sum(bucket[2] for bucket in end.histogram),
    }
    for where, count in counts.items():
        if count != end.requests:
            raise DocumentError(f"http-load has {end.requests} answered requests, {where} {count}")
    in_flight = said.connections * start.requests_each
    slack = in_flight * start.response_bytes
    least = end.requests * start.response_bytes
    if not least - slack <= said.received_bytes <= least + end.requests * HEADERS_BYTES_MAX + slack:
        raise DocumentError(
            f"h2load received {said.received_bytes} bytes in {end.requests} answers of "
            f"{start.response_bytes} bytes each"
        )
    share = end.requests * end.latency_us.mean / 1e6 / said.duration_s / in_flight
    if not IN_FLIGHT_SHARE[0] <= share <= IN_FLIGHT_SHARE[1]:
        raise DocumentError(
            f"rate times latency is {share * in_flight:.3g} requests in flight, not {in_flight}"
        )


def _check_histogram(end: End) -> None:
    low, high, latency = end.histogram[0], end.histogram[-1], end.latency_us
    if not (low[0] <= latency.min < low[1] and high[0] <= latency.max < high[1]):
        raise DocumentError("http-load's shortest or longest request is not in its histogram")
    if any(a[1] > b[0] for a, b in pairwise(end.histogram)):
        raise DocumentError("http-load's buckets are not in order")
