"""The words of ``iperf3`` without ``--json``, as a client has printed them, one or several runs.

Rates have three digits, and their units change from line to line (``unit_snprintf`` of iperf3:
bytes by 1024, bits by 1000). Only a run that ends with ``iperf Done.`` is whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steps.lib.imports.runs import DamagedError, Found, damaged

BEGIN = "Connecting to host "
DONE = "iperf Done."
DIGITS = 0.01
"""Three digits are right to half a percent; a rate is judged against bytes of three digits too."""

_N = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_LINE = re.compile(
    rf"\[ *(?P<id>SUM|[0-9]+)\] +(?P<from>{_N}) *- *(?P<to>{_N}) +sec +"
    rf"(?P<bytes>{_N}) (?P<byte_unit>[KMGT]?)Bytes +"
    rf"(?P<rate>{_N}) (?P<rate_unit>[KMGT]?)(?P<what>bits|Bytes)/sec"
    r"(?P<rest>.*)"
)
_DATAGRAMS = re.compile(
    rf"({_N}) ms +([0-9]{{1,18}})/([0-9]{{1,18}}) \(({_N}(?:e[+-][0-9]{{1,2}})?)%\)"
)
_PLACES = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class _Sum:
    """One of the lines at the end."""

    seconds: float
    bytes: float
    bits_per_s: float
    rest: str


def fits(text: str) -> bool:
    """Whether it looks like such words."""
    return (
        BEGIN in text
        or re.search(r"\[ *ID\] Interval +Transfer +(Bitrate|Bandwidth)", text) is not None
    )


def read(text: str) -> list[Found]:
    """Every run; one that does not end is a run without numbers."""
    text = text.replace("\r\n", "\n")
    starts = [match.start() for match in re.finditer(re.escape(BEGIN), text)]
    if not starts:
        return [damaged("line 1", text.encode(), "has no client: a server's words, or cut off")]
    pieces = zip(starts, [*starts[1:], len(text)], strict=True)
    # A complaint is printed before the words of its run where both go to one file.
    early = text[: starts[0]]
    lost = (
        [damaged("line 1", early.encode(), "its beginning is missing")]
        if _LINE.search(early)
        else []
    )
    runs = [
        _run(text, begin, end, early if n == 0 else "") for n, (begin, end) in enumerate(pieces)
    ]
    return [*lost, *runs]


def _run(text: str, begin: int, end: int, early: str) -> Found:
    where, words = f"line {text.count(chr(10), 0, begin) + 1}", text[begin:end]
    raw = words.encode()
    complaint = re.search(r"iperf3: .*", early + words)
    if complaint:
        return damaged(where, raw, f"iperf3 says: {complaint[0][:120]}", "failed")
    try:
        return _whole(where, words, raw)
    except DamagedError as error:
        return damaged(where, raw, str(error))


def _whole(where: str, words: str, raw: bytes) -> Found:
    if words.count(DONE) != 1:
        raise DamagedError(f"{words.count(DONE)} lines {DONE!r} instead of one: it is cut off")
    streams = len(re.findall(r"\[ *[0-9]+\] local .* connected to ", words))
    lines = [match for match in _LINE.finditer(words) if "(omitted)" not in match["rest"]]
    seen = {line["id"] for line in lines}
    if len(seen - {"SUM"}) != streams or ("SUM" in seen) != (streams > 1):
        raise DamagedError(f"it connected {streams} streams and has lines of {sorted(seen)}")
    if not seen:
        raise DamagedError("it has no lines of numbers")
    name = "SUM" if streams > 1 else next(iter(seen))
    own = [line for line in lines if line["id"] == name]
    sent = _side([line for line in own if line["rest"].rstrip().endswith("sender")], "sender")
    received = _side(
        [line for line in own if line["rest"].rstrip().endswith("receiver")], "receiver"
    )
    if not streams or not received.bytes:
        raise DamagedError("nothing arrived, or no stream was connected")
    intervals = [line for line in own if not line["rest"].rstrip().endswith(("sender", "receiver"))]
    datagrams = _datagrams(received.rest)
    _check(intervals, sent, received, datagrams)
    protocol = "udp" if datagrams else "tcp"
    reverse = "Reverse mode" in words
    retransmits = re.match(r" +([0-9]{1,15}) ", sent.rest)
    asked: dict[str, Any] = {
        "traffic": f"{protocol}-stream",
        "protocol": protocol,
        "direction": "reverse" if reverse else "forward",
        "streams": streams,
    }
    metrics = {
        "duration_s": received.seconds,
        "throughput_bits_per_s": received.bits_per_s,
        "sent_bits_per_s": sent.bits_per_s,
        "retransmits": int(retransmits[1]) if retransmits and protocol == "tcp" else None,
    }
    remark = "numbers of three digits"
    return Found(where, raw, asked=asked, metrics=metrics | datagrams, tool="iperf3", remark=remark)


def _side(lines: Sequence[re.Match[str]], side: str) -> _Sum:
    if len(lines) != 1:
        raise DamagedError(f"{len(lines)} lines of the {side} at the end instead of one")
    return _sum(lines[0])


def _sum(line: re.Match[str]) -> _Sum:
    base = 1000 if line["what"] == "bits" else 1024
    bits = float(line["rate"]) * base ** _PLACES[line["rate_unit"]]
    bits *= 1 if line["what"] == "bits" else 8
    seconds = float(line["to"]) - float(line["from"])
    if seconds <= 0:
        raise DamagedError(f"a line of {seconds} s")
    return _Sum(seconds, _bytes(line), bits, line["rest"])


def _bytes(line: re.Match[str]) -> float:
    unit: int = 1024 ** _PLACES[line["byte_unit"]]
    return float(line["bytes"]) * unit


def _check(
    intervals: Sequence[re.Match[str]], sent: _Sum, received: _Sum, datagrams: Mapping[str, Any]
) -> None:
    """Bytes, rates and times agree as far as three digits can: this is where a unit would show."""
    for total in (sent, received):
        rate, slack = 8 * total.bytes / total.seconds, 0.005 / total.seconds
        if abs(rate - total.bits_per_s) > (DIGITS + slack) * max(rate, total.bits_per_s):
            raise DamagedError(
                f"its bytes make {rate:.3g} bit/s, and it says {total.bits_per_s:.3g}"
            )
    if not intervals:
        raise DamagedError("it has no intervals: whether the run was whole cannot be seen")
    counted, own = sum(map(_bytes, intervals)), (sent.bytes, received.bytes)
    if all(abs(counted - bytes_) > 0.02 * max(counted, bytes_) for bytes_ in own):
        raise DamagedError(f"its intervals hold {counted:.3g} byte, its sums {own[0]:.3g}")
    if received.bytes > 1.02 * sent.bytes:
        raise DamagedError("more arrived than was sent")
    if not datagrams and received.bytes < 0.9 * sent.bytes:
        raise DamagedError("of TCP less arrived than was sent")
    # Where the first one began is not always told rightly (``iperf3_document.Side.measured``).
    spans = [float(intervals[-1]["to"]), sent.seconds, received.seconds]
    if min(spans) < 0.9 * max(spans) - 0.1:
        raise DamagedError(f"intervals, sender and receiver took {spans} s")


def _datagrams(rest: str) -> dict[str, Any]:
    found = _DATAGRAMS.search(rest)
    if not found:
        return {}
    lost, total = int(found[2]), int(found[3])
    if not total or lost > total or abs(100 * lost / total - float(found[4])) > 0.6:
        raise DamagedError(f"lost {lost} of {total} datagrams, and it says {found[4]} %")
    return {
        "datagrams": total,
        "lost_datagrams": lost,
        "lost_percent": 100 * lost / total,
        "jitter_us": 1000 * float(found[1]),
    }
