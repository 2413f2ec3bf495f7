"""Gates about the machine around the cell: its CPUs, its clock, its wire, the generator's share."""

from steps.lib.beside import Ran
from steps.lib.gates.base import AROUND, Evidence, Found, gate, verdict
from steps.lib.gates.path import TCP_HEADER_BYTES, TCP_TIMESTAMPS_BYTES
from steps.lib.models import IP_HEADER_BYTES, PATHS, Http, Transactions, UdpStream
from steps.lib.reading import Window

WINDOW_TOLERANCE = 0.05
WINDOW_SLACK_S = 0.1
WHOLE_PERCENT = 100.0

CLOCK_TOLERANCE_S = 0.02
"""Between reading one clock and the other a busy machine may let somebody else run."""

WIRE_TOLERANCE = 0.15
"""Headers are counted as the largest that there may be, windows differ by milliseconds."""

ETHERNET_BYTES = 14

HTTP_REQUEST_BYTES = 150
"""h2load's longest: of HTTP/1.1, with the host's name and its own."""


@gate(
    evidence="Monotonic clock of each node at both readings, against the tool's intervals",
    source="a rate over two minutes is not that of a ten-second test (pitfall 25)",
    needs=("record",),
)
def cpu_window(e: Evidence) -> Found:
    """CPU and packets are of exactly the time that the tool measured, on every node."""
    if e.window is None:
        return "fail", "the tool did not report both ends of its window"
    cpu, wanted = e.window.cpu, sum(i.duration_s for i in e.the_record.intervals)
    allowed = max(WINDOW_TOLERANCE * wanted, WINDOW_SLACK_S)
    wrong = [node for node, span in cpu.spans_s.items() if abs(span - wanted) > allowed]
    spans = ", ".join(f"{span:.3f} s on {node}" for node, span in cpu.spans_s.items())
    text = f"counters span {spans}; the tool's intervals {wanted:.3f} s"
    if wrong:
        text += f"; wrong: {', '.join(wrong)}"
    if cpu.begun_anew:
        text += f"; whoever reads was started anew: {', '.join(cpu.begun_anew)}"
    return verdict(not wrong and not cpu.begun_anew), text


@gate(
    evidence="Real-time against monotonic clock of each node, before and after the run",
    source="tools that put false dates on their runs; one-way latency (pitfall 28)",
    cost=AROUND,
)
def clock_steady(e: Evidence) -> Found:
    """No clock was set while the cell ran: dates of rows and documents mean what they say."""
    steps_s = e.around.cpu.clock_steps_s
    wrong = [node for node, step_s in steps_s.items() if abs(step_s) > CLOCK_TOLERANCE_S]
    text = ", ".join(f"{step_s * 1000:+.1f} ms on {node}" for node, step_s in steps_s.items())
    return verdict(not wrong), f"real time against monotonic time: {text}"


@gate(
    evidence="`nr_throttled` of every control group that a tool of this cell is in",
    source="a published tool's client was throttled by a limit of 500m (pitfall 24)",
    cost=AROUND,
)
def generator_throttled(e: Evidence) -> Found:
    """No limit on CPU held the generator back."""
    # Groups that are the tools' own are there while they run, all others before and after too.
    periods = e.around.cpu.throttled | (e.window.cpu.throttled if e.window else {})
    if not periods:
        return "not_applicable", "no control group of the tools can limit CPU"
    held = {group: count for group, count in periods.items() if count > 0}
    text = ", ".join(f"{count} periods in {group}" for group, count in held.items())
    return verdict(not held), text or f"none of {len(periods)} control groups was throttled"


@gate(
    evidence="Steal time of all CPUs in the window, against the campaign's limit",
    source="steal between 0 and 35 % was seen on one small virtual machine",
    needs=("window",),
    is_noise=True,
)
def steal(e: Evidence) -> Found:
    """The hypervisor left the machine its CPUs."""
    found, limit = e.the_window.cpu.steal_percent, e.limits.steal_percent_max
    return verdict(found <= limit), f"{found:.1f} % of all CPUs, limit {limit} %"


@gate(
    evidence="CPU time of every process, or on Kubernetes pod, that is none of cnibench's or the "
    "plugin's, against the campaign's limit",
    source="other processes took up to 92 % of a core on one small virtual machine",
    cost="a walk over all processes in each reading: 2 ms for a hundred",
    needs=("window",),
    is_noise=True,
)
def foreign_cpu(e: Evidence) -> Found:
    """Nobody else used the CPUs."""
    cpu, limit = e.the_window.cpu, e.limits.foreign_cpu_percent_max
    text = f"{cpu.foreign_percent:.1f} % of all CPUs, limit {limit} %"
    if cpu.vanished:
        # Until it ended it may have used all that there was.
        text += f"; not counted, since they ended meanwhile: {', '.join(cpu.vanished)}"
        return verdict(limit >= WHOLE_PERCENT), text
    return verdict(cpu.foreign_percent <= limit), text


@gate(
    evidence="Byte counters of both uplinks, each direction, against the tool's bytes and the "
    "headers of the segments that each end's kernel sent, and the campaign's limit",
    source="cloud links are shared with neighbours (Uta et al., NSDI'20)",
    needs=("record", "window"),
    is_noise=True,
)
def foreign_wire(e: Evidence) -> Found:
    """Nobody else used the wire: the nodes' uplinks carried what the payload explains."""
    if not crosses_the_wire(e):
        return "not_applicable", "the path does not cross the wire; path-taken judges the uplinks"
    if any(ran.record is None for ran in e.beside):
        return "not_applicable", "what a companion sent is not known; companions says so"
    if e.the_window.cpu.wall_s <= 0:
        return "not_applicable", "the counters are not of one window; cpu-window says so"
    explained = _explained_bytes(e)
    slack = e.limits.foreign_wire_bits_per_s_max / 8 * e.the_window.cpu.wall_s
    seen, wrong = [], []
    for near, far in (("client", "server"), ("server", "client")):
        node = f"{near}-node"
        uplink = e.ends.device(f"{node}:@uplink")[1] or ""
        moved = e.the_window.device_directions(node, uplink) or (0, 0)  # path-taken says so.
        for way, end, found in zip(("in", "out"), (far, near), moved, strict=True):
            seen.append(f"{node} {way} {found} of {explained[end]:.0f}")
            if found > (1 + WIRE_TOLERANCE) * explained[end] + slack:
                wrong.append(f"{node} {way}")
    text = f"bytes moved, of those explained: {', '.join(seen)}"
    return verdict(not wrong), f"{text}; too many: {', '.join(wrong)}" if wrong else text


def crosses_the_wire(e: Evidence) -> bool:
    """Whether the two ends are on different nodes, so that all of it passes their uplinks."""
    path = PATHS[e.cell.path]
    ends = (path.client, path.server or path.client)
    return "external" in path.kinds or ends[0].node_index != ends[1].node_index


def _add_companion(found: dict[str, float], ran: Ran, window: Window, headers: int) -> None:
    """What a companion put on the wire: its payload, a header each packet, an answer each."""
    payload = ran.received(window).bits_per_s / 8 * window.cpu.wall_s
    mss = ran.record.mss_bytes if ran.record else None
    extra = payload * headers / (mss or ran.companion.traffic.message_bytes)
    sender = "server" if ran.companion.traffic.direction == "reverse" else "client"
    for end in found:
        found[end] += payload + extra if end == sender else extra


def _explained_bytes(e: Evidence) -> dict[str, float]:
    """Bytes that the cell has each end put on the wire in the window, headers included."""
    traffic, record, wall_s = e.cell.traffic, e.the_record, e.the_window.cpu.wall_s
    headers = IP_HEADER_BYTES[traffic.family] + TCP_HEADER_BYTES + TCP_TIMESTAMPS_BYTES
    headers += ETHERNET_BYTES
    headers += e.plugin.mtu_overhead_bytes + ETHERNET_BYTES
    ends = ("client", "server")
    found = {end: float(e.the_window.stack(end, "Tcp.OutSegs")) * headers for end in ends}
    for ran in e.beside:
        _add_companion(found, ran, e.the_window, headers)
    if isinstance(traffic, Transactions):
        transactions = float(record.metrics["transactions_per_s"] or 0) * wall_s
        datagrams = transactions * headers if traffic.protocol == "udp" else 0.0
        found["client"] += transactions * traffic.request_bytes + datagrams
        found["server"] += transactions * traffic.response_bytes + datagrams
        return found
    if isinstance(traffic, Http):
        requests = float(record.metrics["transactions_per_s"] or 0) * wall_s
        found["client"] += requests * HTTP_REQUEST_BYTES
        found["server"] += float(record.effective["received_bytes"] or 0)
        return found
    sender = "server" if traffic.direction == "reverse" else "client"
    sent = float(record.metrics.get("sent_bits_per_s") or 0) / 8 * wall_s
    if traffic.direction == "both":
        back = float(record.metrics.get("sent_reverse_bits_per_s") or 0) / 8 * wall_s
        found["server"] += back
    if isinstance(traffic, UdpStream):
        found[sender] += sent * (1 + headers / traffic.message_bytes)
    else:
        again = float(record.metrics.get("retransmits") or 0)
        found[sender] += sent + again * (record.mss_bytes or 0)
    return found
