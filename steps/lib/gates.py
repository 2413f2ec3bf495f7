"""The validity gates: each one proves a part of the claim that a cell measured what its name says.

A gate looks at evidence that was read while the cell ran, and says ``pass``, ``fail`` or
``not_applicable``, with what it saw. One ``fail`` makes the measurement ``invalid``. Gates never
look at whether a number is plausible: that would select results.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from steps.lib.models import Cell, Limits, Plugin, Stream, UdpStream
from steps.lib.reading import Ends, Window
from steps.lib.traffic import asked
from steps.lib.traffic.protocol import Tool, ToolRecord

Verdict = Literal["pass", "fail", "not_applicable"]

DURATION_TOLERANCE = 0.02
DURATION_SLACK_S = 0.1
"""A tool's timer is late by tens of milliseconds however long it runs; rates are over true time."""

WINDOW_TOLERANCE = 0.05
WINDOW_SLACK_S = 0.1
WHOLE_PERCENT = 100.0
SILENT_SHARE = 0.02
SILENT_BYTES = 64 * 1024
"""A silent device may still carry ARP, probes and control connections."""

TCP_IP_HEADERS_BYTES = 40
TCP_TIMESTAMPS_BYTES = 12


@dataclass(frozen=True)
class Gate:
    """One check and what it saw."""

    gate: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """All that the gates may look at."""

    cell: Cell
    plugin: Plugin
    limits: Limits
    tool: Tool
    ends: Ends
    expected_mtu_bytes: Mapping[str, int]
    probe: Mapping[int, bool]
    untuned: tuple[str, ...]
    fingerprints: tuple[str | None, str | None, str | None]
    record: ToolRecord | None
    document_error: str | None
    window: Window | None


def check_all(evidence: Evidence) -> list[Gate]:
    """Every gate, in the order of ``GATES``."""
    return [_guarded(name, check, evidence) for name, check in GATES.items()]


def first_failure(gates: list[Gate]) -> Gate | None:
    """What to blame: noise before anything else, since it makes other gates fail; else the first.

    Returns:
        None if every gate let the measurement pass.
    """
    failures = [g for g in gates if g.verdict == "fail"]
    return next((g for g in failures if g.gate in NOISE), failures[0] if failures else None)


def _guarded(name: str, check: Callable[[Evidence], tuple[Verdict, str]], e: Evidence) -> Gate:
    """Without a record or a window, only the gate that finds it missing has something to say."""
    if name in OF_RECORD and e.record is None:
        return Gate(name, "not_applicable", "the tool's document is not complete")
    if name in OF_WINDOW and e.window is None:
        return Gate(name, "not_applicable", "the tool did not report both ends of its window")
    return Gate(name, *check(e))


def _document(e: Evidence) -> tuple[Verdict, str]:
    if e.record is None:
        return "fail", e.document_error or "no output"
    return "pass", f"one document, {len(e.record.intervals)} intervals"


def _record(e: Evidence) -> ToolRecord:
    assert e.record is not None, "guarded by OF_RECORD"
    return e.record


def _window(e: Evidence) -> Window:
    assert e.window is not None, "guarded by OF_WINDOW"
    return e.window


def _tool_version(e: Evidence) -> tuple[Verdict, str]:
    found = _record(e).version
    return _verdict(found == e.tool.version), f"{e.tool.name} {found}, pinned {e.tool.version}"


def _parameters(e: Evidence) -> tuple[Verdict, str]:
    effective = _record(e).effective
    wrong = [
        f"{name}: asked {value!r}, effective {effective.get(name)!r}"
        for name, value in asked(e.cell.traffic).items()
        if effective.get(name) != value
    ]
    return _verdict(not wrong), "; ".join(wrong) or f"{len(asked(e.cell.traffic))} agree"


def _rate_stated(e: Evidence) -> tuple[Verdict, str]:
    if not isinstance(e.cell.traffic, UdpStream):
        return "not_applicable", "not UDP"
    rate = _record(e).effective.get("rate_bits_per_s")
    return _verdict(rate == e.cell.traffic.rate_bits_per_s), f"{rate} bit/s in all streams"


def _receiver_side(e: Evidence) -> tuple[Verdict, str]:
    if not isinstance(e.cell.traffic, Stream):
        return "not_applicable", "transactions are counted by the client that waits for them"
    record = _record(e)
    return _verdict(record.receiver_side), "goodput from the receiver's own count"


def _duration(e: Evidence) -> tuple[Verdict, str]:
    found, wanted = _record(e).duration_s, e.cell.traffic.duration_s
    text = f"{found:.3f} s of {wanted} s"
    allowed = max(DURATION_TOLERANCE * wanted, DURATION_SLACK_S)
    return _verdict(abs(found - wanted) <= allowed), text


def _intervals(e: Evidence) -> tuple[Verdict, str]:
    covered = sum(i.duration_s for i in _record(e).intervals)
    wanted = e.cell.traffic.duration_s
    return _verdict(covered >= 0.7 * wanted), f"intervals cover {covered:.2f} s of {wanted} s"


def _cpu_window(e: Evidence) -> tuple[Verdict, str]:
    if e.window is None:
        return "fail", "the tool did not report both ends of its window"
    cpu, wanted = e.window.cpu, sum(i.duration_s for i in _record(e).intervals)
    allowed = max(WINDOW_TOLERANCE * wanted, WINDOW_SLACK_S)
    wrong = [node for node, span in cpu.spans_s.items() if abs(span - wanted) > allowed]
    spans = ", ".join(f"{span:.3f} s on {node}" for node, span in cpu.spans_s.items())
    text = f"counters span {spans}; the tool's intervals {wanted:.3f} s"
    if wrong:
        text += f"; wrong: {', '.join(wrong)}"
    if cpu.begun_anew:
        text += f"; whoever reads was started anew: {', '.join(cpu.begun_anew)}"
    return _verdict(not wrong and not cpu.begun_anew), text


def _path(e: Evidence) -> tuple[Verdict, str]:
    payload = _payload_bytes(e)
    proof = e.plugin.paths[e.cell.path]
    seen, wrong = [], []
    for reference in (*proof.carries, *proof.silent):
        moved = _moved(e, reference)
        seen.append(f"{reference} {moved}")
        limit = max(SILENT_BYTES, SILENT_SHARE * payload)
        carried = moved is not None and moved >= payload
        silent = moved is not None and moved <= limit
        if not (carried if reference in proof.carries else silent):
            wrong.append(reference)
    text = f"payload {payload:.0f} bytes; moved: {', '.join(seen)}"
    return _verdict(not wrong), f"{text}; wrong: {', '.join(wrong)}" if wrong else text


def _moved(e: Evidence, reference: str) -> int | None:
    place, device = e.ends.device(reference)
    return None if device is None else _window(e).device_bytes(place, device)


def _payload_bytes(e: Evidence) -> float:
    """Bytes that must have crossed every device of the path while the counters ran.

    Of transactions the headers are most of it: each is at least one segment in each direction. A
    tenth is taken off, since the tool's window and the counters' may differ by milliseconds.
    """
    metrics, wall_s = _record(e).metrics, _window(e).cpu.wall_s
    if isinstance(e.cell.traffic, Stream):
        return 0.9 * float(metrics["throughput_bits_per_s"] or 0) / 8 * wall_s
    size = TCP_IP_HEADERS_BYTES + max(e.cell.traffic.request_bytes, e.cell.traffic.response_bytes)
    return 0.9 * float(metrics["transactions_per_s"] or 0) * size * wall_s


def _mtu(e: Evidence) -> tuple[Verdict, str]:
    found = {"client": e.ends.client.mtu_bytes, "server": e.ends.server.mtu_bytes}
    wrong = [p for p, mtu in e.expected_mtu_bytes.items() if found[p] != mtu]
    text = ", ".join(f"{p} {m} (expected {e.expected_mtu_bytes[p]})" for p, m in found.items())
    return _verdict(not wrong), text


def _path_mtu(e: Evidence) -> tuple[Verdict, str]:
    if not e.probe:
        return "not_applicable", "both ends share a network namespace"
    fits, too_large = sorted(e.probe)
    text = f"{fits} bytes {_passes(e.probe[fits])}, {too_large} bytes {_passes(e.probe[too_large])}"
    return _verdict(e.probe[fits] and not e.probe[too_large]), f"unfragmented: {text}"


def _passes(passed: bool) -> str:
    return "pass" if passed else "do not pass"


def _mss(e: Evidence) -> tuple[Verdict, str]:
    record = _record(e)
    if e.cell.traffic.protocol != "tcp" or record.mss_bytes is None:
        return "not_applicable", "no TCP segment size in the record"
    if e.ends.shared:
        return "not_applicable", f"loopback: {record.mss_bytes}"
    allowed = [
        mtu - headers
        for mtu in _mtus(e.ends)
        for headers in (
            TCP_IP_HEADERS_BYTES + TCP_TIMESTAMPS_BYTES,
            TCP_IP_HEADERS_BYTES,
        )
    ]
    mtus = " or ".join(map(str, _mtus(e.ends)))
    expected = " or ".join(map(str, allowed))
    text = f"{record.mss_bytes} bytes at MTU {mtus}, expected {expected}"
    return _verdict(record.mss_bytes in allowed), text


def _mtus(ends: Ends) -> list[int]:
    """MTUs that the segments of a connection may have been cut for.

    A pod's smaller MTU may be one of its routes only: what comes from outside, with its address
    translated to the node's, takes another route, on which the device's own MTU holds.
    """
    mtu = min(ends.client.mtu_bytes, ends.server.mtu_bytes)
    device_mtu = ends.server.device_mtu_bytes
    if ends.client.kind != "external" or device_mtu is None:
        return [mtu]
    return list(dict.fromkeys([mtu, min(ends.client.mtu_bytes, device_mtu)]))


def _congestion(e: Evidence) -> tuple[Verdict, str]:
    wanted = getattr(e.cell.traffic, "chosen_congestion_control", None)
    if wanted is None:
        return "not_applicable", f"none asked; in force {_record(e).congestion_control}"
    found = _record(e).congestion_control
    return _verdict(found == wanted), f"asked {wanted}, in force {found}"


def _address(e: Evidence) -> tuple[Verdict, str]:
    found = _record(e).server_address
    return _verdict(found == e.ends.address), f"dialled {found}, meant {e.ends.address}"


def _tuning(e: Evidence) -> tuple[Verdict, str]:
    return _verdict(not e.untuned), "; ".join(e.untuned) or "every setting reads back as intended"


def _fingerprint(e: Evidence) -> tuple[Verdict, str]:
    installed, before, after = e.fingerprints
    same = installed == before == after
    return _verdict(same), "unchanged" if same else f"was {installed}, {before}, then {after}"


def _steal(e: Evidence) -> tuple[Verdict, str]:
    found, limit = _window(e).cpu.steal_percent, e.limits.steal_percent_max
    return _verdict(found <= limit), f"{found:.1f} % of all CPUs, limit {limit} %"


def _foreign(e: Evidence) -> tuple[Verdict, str]:
    cpu, limit = _window(e).cpu, e.limits.foreign_cpu_percent_max
    text = f"{cpu.foreign_percent:.1f} % of all CPUs, limit {limit} %"
    if cpu.vanished:
        # Until it ended it may have used all that there was.
        text += f"; not counted, since they ended meanwhile: {', '.join(cpu.vanished)}"
        return _verdict(limit >= WHOLE_PERCENT), text
    return _verdict(cpu.foreign_percent <= limit), text


def _verdict(passed: bool) -> Verdict:
    return "pass" if passed else "fail"


GATES: dict[str, Callable[[Evidence], tuple[Verdict, str]]] = {
    "document-complete": _document,
    "tool-version": _tool_version,
    "parameters-agree": _parameters,
    "rate-stated": _rate_stated,
    "receiver-goodput": _receiver_side,
    "duration": _duration,
    "intervals-enough": _intervals,
    "cpu-window": _cpu_window,
    "address": _address,
    "path-taken": _path,
    "mtu": _mtu,
    "path-mtu": _path_mtu,
    "mss": _mss,
    "congestion-control": _congestion,
    "tuning-in-force": _tuning,
    "plugin-unchanged": _fingerprint,
    "steal": _steal,
    "foreign-cpu": _foreign,
}

NOISE = ("steal", "foreign-cpu")
"""Gates about the machine, not about the cell: failing one is worth another try."""

OF_WINDOW = ("path-taken", "steal", "foreign-cpu")
OF_RECORD = (
    "tool-version",
    "parameters-agree",
    "rate-stated",
    "receiver-goodput",
    "duration",
    "intervals-enough",
    "cpu-window",
    "address",
    "path-taken",
    "mss",
    "congestion-control",
)
