"""Gates about the tool's own document: whose it is, and whether it did what was asked."""

from ipaddress import ip_address

from steps.lib.gates.base import Evidence, Found, gate, verdict
from steps.lib.models import Http, Stream, Traffic, Transactions, UdpStream
from steps.lib.row import packets_received
from steps.lib.traffic import asked
from steps.lib.traffic.protocol import ToolRecord, VersionError

DURATION_TOLERANCE = 0.02
DURATION_SLACK_S = 0.1
"""A tool's timer is late by tens of milliseconds however long it runs; rates are over true time."""

CLOCK_STEP_S = 1.0
"""Tools date their documents in whole seconds."""

RATE_TOLERANCE = 0.05
RECEIVED_TOLERANCE = 0.05
"""The tool's window and that of the counters differ by some milliseconds at both ends."""


@gate(
    evidence="Version in the tool's document, or what the tool prints when asked for it",
    source="iperf3 release notes 3.16 to 3.21; esnet/iperf PR #1591",
    cost="netperf: one start of the program before the cell; iperf3: nothing",
)
def tool_version(e: Evidence) -> Found:
    """The tool is the pinned version: fields change their meaning between versions."""
    if isinstance(e.document_error, VersionError):
        return "fail", str(e.document_error)
    if e.record is None:
        return "not_applicable", "the tool's document is not complete"
    text = f"{e.tool.name} {e.record.version}, pinned {e.tool.version}"
    return verdict(e.record.version == e.tool.version), text


@gate(
    evidence="Every line of the client's output; the server's own document inside of it",
    source="iperf3 exits with 0 when it is interrupted (3.19), with sums that look complete",
)
def document_complete(e: Evidence) -> Found:
    """The tool ran to its end and said so once: nothing is cut off, doubled or of another run."""
    if e.record is None:
        return "fail", str(e.document_error or "no output")
    return "pass", f"one document, {len(e.record.intervals)} intervals"


@gate(
    evidence="The document's date against the clock of the client's node; documents seen before",
    source="fixed pauses and retried jobs give lost or double results (Dakić et al. 2024, code)",
    needs=("record",),
)
def document_own(e: Evidence) -> Found:
    """The document was written for this cell, while it ran."""
    if e.same_document is not None:
        return "fail", f"the very same document was that of cell {e.same_document}"
    started_s = e.the_record.started_utc_s
    if started_s is None:
        return "pass", "no document of this block is the same; it has no date"
    first_s, last_s = e.around.clock_s(e.ends.client.node.name)
    inside = first_s - CLOCK_STEP_S <= started_s <= last_s + CLOCK_STEP_S
    text = f"dated {started_s - first_s:+.1f} s after the cell's begin, which took"
    return verdict(inside), f"{text} {last_s - first_s:.1f} s"


@gate(
    evidence="Target rate in the tool's document, times streams",
    source="two published data sets hold nothing but that default in their UDP half",
    needs=("record",),
)
def rate_stated(e: Evidence) -> Found:
    """UDP ran at the stated rate, not at the tool's default of 1 Mbit/s a stream."""
    if not isinstance(e.cell.traffic, UdpStream):
        return "not_applicable", "not UDP"
    rate = e.the_record.effective.get("rate_bits_per_s")
    return verdict(rate == e.cell.traffic.rate_bits_per_s), f"{rate} bit/s in all streams"


@gate(
    evidence="The sender's own count of bytes, or of requests, against the stated rate",
    source="esnet/iperf issues #841, #386, #296: the generator is the limit",
    needs=("record",),
)
def rate_offered(e: Evidence) -> Found:
    """The sender offered what was stated: loss, goodput and latency are not its own."""
    stated = _stated_rate(e.cell.traffic)
    if stated is None:
        return "not_applicable", "no stated rate"
    wanted, unit = stated
    sent = _sent_per_s(e.cell.traffic, e.the_record)
    if sent is None:
        return "fail", "the tool does not say what it sent"
    text = f"{100 * sent / wanted:.1f} % of {wanted} {unit} were sent"
    return verdict(abs(sent - wanted) <= RATE_TOLERANCE * wanted), text


def _stated_rate(traffic: Traffic) -> tuple[int, str] | None:
    """The rate, and its unit."""
    if isinstance(traffic, UdpStream):
        return traffic.rate_bits_per_s, "bit/s"
    if isinstance(traffic, Transactions) and traffic.rate_per_s is not None:
        return traffic.rate_per_s, "requests/s"
    return None


def _sent_per_s(traffic: Traffic, record: ToolRecord) -> float | None:
    """What the sender says of itself, in the unit of the stated rate; lost requests included."""
    if isinstance(traffic, UdpStream):
        return record.metrics.get("sent_bits_per_s")
    requests = record.metrics.get("datagrams")
    if requests is not None:
        return requests / record.duration_s
    return record.metrics.get("transactions_per_s")


@gate(
    evidence="The parameters in the tool's document, each against the cell",
    source="a default message size that cost six sevenths of the rate; rows that say reverse where "
    "the tool says forward",
    needs=("record",),
)
def parameters_agree(e: Evidence) -> Found:
    """Every parameter in force is the one that was asked for; no default crept in."""
    effective, wanted = e.the_record.effective, asked(e.cell.traffic)
    wrong = [
        f"{name}: asked {value!r}, effective {effective.get(name)!r}"
        for name, value in wanted.items()
        if effective.get(name) != value
    ]
    return verdict(not wrong), "; ".join(wrong) or f"{len(wanted)} agree"


@gate(
    evidence="Which side's sum the row is made of; for UDP also the datagrams that the receiver's "
    "kernel counted",
    source="parsers that take a line by its position (Dakić et al. 2024, code)",
    needs=("record", "window"),
)
def receiver_goodput(e: Evidence) -> Found:
    """Goodput is the receiver's: loss is not hidden by the sender's number."""
    traffic, record = e.cell.traffic, e.the_record
    if not isinstance(traffic, Stream):
        return "not_applicable", "transactions are counted by the client that waits for them"
    if not record.receiver_side:
        return "fail", "goodput is the sender's own count"
    if not isinstance(traffic, UdpStream):
        return "pass", "goodput from the receiver's own count"
    said = float(record.metrics["throughput_bits_per_s"] or 0) / 8 * e.the_window.cpu.wall_s
    counted = packets_received(e.the_window, traffic) * traffic.message_bytes
    text = f"{said:.0f} bytes by the tool, {counted} bytes by the receiver's kernel"
    return verdict(said <= (1 + RECEIVED_TOLERANCE) * counted), text


@gate(
    evidence="Requests that the server counted between the ends of the window (nginx, "
    "`stub_status`), against those that the client had answered",
    source="the sender's number is not the receiver's; a server that answers from elsewhere",
    cost="HTTP only: a request at each end of the window",
    needs=("record",),
)
def requests_served(e: Evidence) -> Found:
    """The server had as many requests as the client says were answered."""
    traffic = e.cell.traffic
    if not isinstance(traffic, Http):
        return "not_applicable", "no HTTP"
    metrics, seconds = e.the_record.metrics, e.the_record.duration_s
    served = float(e.the_record.effective.get("served_per_s") or 0)
    failed = float(metrics["failed_requests"] or 0) / seconds
    answered = float(metrics["transactions_per_s"] or 0) + failed
    allowed = RECEIVED_TOLERANCE * answered + 2 * traffic.requests_in_flight / seconds
    text = f"{answered:.0f} a second by the client's count, {served:.0f} by the server's"
    return verdict(abs(served - answered) <= allowed), text


@gate(
    evidence="Duration in the tool's document",
    source="a short elapsed time is the only sign of a netperf run that was cut off",
    needs=("record",),
)
def duration(e: Evidence) -> Found:
    """The measured time is the one asked for."""
    found, wanted = e.the_record.duration_s, e.cell.traffic.duration_s
    allowed = max(DURATION_TOLERANCE * wanted, DURATION_SLACK_S)
    return verdict(abs(found - wanted) <= allowed), f"{found:.3f} s of {wanted} s"


@gate(
    evidence="Intervals in the tool's document, without those left out at the start",
    source="iperf FAQ: slow start and data in flight count for much of a short test",
    needs=("record",),
)
def intervals_enough(e: Evidence) -> Found:
    """The intervals cover the measured time."""
    covered = sum(i.duration_s for i in e.the_record.intervals)
    wanted = e.cell.traffic.duration_s
    return verdict(covered >= 0.7 * wanted), f"intervals cover {covered:.2f} s of {wanted} s"


@gate(
    evidence="Addresses in the tool's document",
    source="benchmark-operator #814, #815: dual stack measured the other family",
    needs=("record",),
)
def address_family(e: Evidence) -> Found:
    """Both ends speak the address family of the cell."""
    family = {"ipv4": 4, "ipv6": 6}[e.cell.traffic.family]
    said = {e.the_record.client_address, e.the_record.server_address, e.ends.address} - {None}
    wrong = sorted(a for a in said if a is not None and ip_address(a).version != family)
    text = f"not IPv{family}: {', '.join(wrong)}" if wrong else f"IPv{family} at both ends"
    return verdict(not wrong), text


@gate(
    evidence="The peer's address in the tool's document",
    source="a published study sent to a NodePort and called it pod to pod (Dakić et al. 2024)",
    needs=("record",),
)
def address(e: Evidence) -> Found:
    """The client dialled the address that the path's name means."""
    found = e.the_record.server_address
    return verdict(found == e.ends.address), f"dialled {found}, meant {e.ends.address}"


@gate(
    evidence="The algorithm in the tool's document, as the kernel told it",
    source="a series of cubic stayed BBR since the error of `sysctl -w` was swallowed",
    needs=("record",),
)
def congestion_control(e: Evidence) -> Found:
    """TCP used the congestion control that was asked for."""
    wanted, found = (
        getattr(e.cell.traffic, "chosen_congestion_control", None),
        e.the_record.congestion_control,
    )
    if wanted is None:
        return "not_applicable", f"none asked; in force {found}"
    return verdict(found == wanted), f"asked {wanted}, in force {found}"
