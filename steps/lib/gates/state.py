"""Gates about the state of nodes and endpoints: the same as asked, before and after the run."""

from collections.abc import Iterator

from steps.lib.gates.base import AROUND, Evidence, Found, gate, verdict
from steps.lib.targets import features

NODES = ("client-node", "server-node")

ROOM = 0.95
"""A table or range that is fuller than this has turned something away, or is about to."""

PAWS_REFUSED = "TcpExt.PAWSTimewait"

LOSSES = ("drop", "early_drop", "insert_failed")
"""Counters of connection tracking (nf_conntrack_core.c). Only a full table evicts entries; packets
are dropped for other reasons too, and entries are not inserted where two connections clash."""


@gate(
    evidence="Each setting read back before and after the run",
    source="a profile whose misspelt name was skipped in silence (Dakić et al. 2024, code)",
    cost="one small file a setting and place, twice; on Kubernetes one question to an agent each",
)
def tuning_in_force(e: Evidence) -> Found:
    """Every setting of the profile was in force, on both nodes and in both endpoints."""
    return verdict(not e.untuned), "; ".join(e.untuned) or "every setting reads back as intended"


@gate(
    evidence="Fingerprint of configuration, binaries, devices and routes: at the installation, "
    "before and after the run",
    source="two laboratories, and two generations of hosts, that were confused",
    cost="two fingerprints: some milliseconds each; on Kubernetes some requests",
)
def plugin_unchanged(e: Evidence) -> Found:
    """The plugin is the one that was installed for this block, unchanged."""
    installed, before, after = e.fingerprints
    same = installed == before == after
    return verdict(same), "unchanged" if same else f"was {installed}, {before}, then {after}"


@gate(
    evidence="Active features (checksums, TSO, GSO, GRO, LRO, tunnels) of both uplinks and of each "
    "stated device, when the block began and before and after the run",
    source="`gro off` left behind by a clean-up (Dakić et al. 2024, code); pitfall 12",
    cost="one ioctl a device in each reading: 5 us",
)
def offloads_unchanged(e: Evidence) -> Found:
    """The devices of the path offload what they did when the block began, at both ends."""
    wrong = list(_changed_offloads(e))
    return verdict(not wrong), "; ".join(wrong) or f"unchanged on {len(_devices(e))} devices"


def _changed_offloads(e: Evidence) -> Iterator[str]:
    for place, device in _devices(e):
        first = e.around.first.counters[place].offloads.get(device)
        last = e.around.last.counters[place].offloads.get(device)
        node = e.ends.places[place].name
        begun = e.offloads.get(f"{node}/{device}", first) if place.endswith("-node") else first
        for then, now, when in ((begun, first, "since the block began"), (first, last, "in it")):
            if then != now:
                yield f"{device} of {place} changed {when}: {_difference(then, now)}"


def _devices(e: Evidence) -> list[tuple[str, str]]:
    """Places and names of the devices of the path."""
    references = (
        *e.plugin.paths[e.cell.path].carries,
        "client-node:@uplink",
        "server-node:@uplink",
    )
    found = dict.fromkeys(e.ends.device(reference) for reference in references)
    return [(place, device) for place, device in found if device is not None]


def _difference(then: int | None, now: int | None) -> str:
    before, after = features.names(then or 0), features.names(now or 0)
    return ", ".join(sorted({f"-{f}" for f in before - after} | {f"+{f}" for f in after - before}))


@gate(
    evidence="Drops and entries of each end's and node's table, before and after the run",
    source="connection tests exhaust tables (pitfall 20)",
    cost=AROUND,
)
def conntrack_room(e: Evidence) -> Found:
    """Connection tracking turned no packet away for want of room."""
    seen, wrong = [], []
    for place in e.ends.places:
        most = e.around.last.counters[place].stack.get("Conntrack.max", 0)
        entries = e.around.gauge(place, "Conntrack.entries")
        drop, early, failed = (e.around.stack(place, f"Conntrack.{name}") for name in LOSSES)
        if drop or early or failed or entries:
            text = f"{entries} of {most} entries, {drop} packets dropped, {early} entries evicted"
            seen.append(f"{place}: {text}, {failed} not inserted")
        if early or (drop and entries >= ROOM * most):
            wrong.append(place)
    if not any(e.around.gauge(place, "Conntrack.max") for place in e.ends.places):
        return "not_applicable", "this kernel tracks no connections"
    return verdict(not wrong), "; ".join(seen) or "no connection is tracked"


def connections_tracked(e: Evidence) -> bool | None:
    """Whether a node tracked the cell's connections; None if older entries that end hide it.

    Entries stay for minutes after their connection, so tables that do not grow had nothing added.
    """
    if e.window is None:
        return None
    readings = (e.around.first, e.window.first, e.window.last, e.around.last)
    changes = {
        reading.counters[node].stack.get("Conntrack.entries", 0)
        - e.around.first.counters[node].stack.get("Conntrack.entries", 0)
        for reading in readings
        for node in NODES
    }
    if max(changes) > 0:
        return True
    return None if min(changes) < 0 else False


@gate(
    evidence="Whether entries came into the nodes' tables during the run, in this reference cell "
    "and in the first one of the block",
    source="a node-to-node baseline slower than pods, since its connections alone were tracked",
    cost=AROUND,
)
def conntrack_as_begun(e: Evidence) -> Found:
    """References of a block run in one state of connection tracking, so that they show drift."""
    begun, now = e.baseline_tracked, connections_tracked(e)
    if begun is None or now is None:
        return "not_applicable", "no reference cell, or the first one that tells"
    text = f"tracked: {begun} when the block began, {now} now"
    return verdict(begun == now), text


@gate(
    evidence="TCP sockets in use and in TIME_WAIT in the client's namespace, against its range of "
    "ephemeral ports",
    source="connection tests exhaust ephemeral ports (pitfall 20)",
    cost="one small file after the run",
)
def ports_left(e: Evidence) -> Found:
    """The client had ports left for new connections."""
    if e.cell.traffic.protocol != "tcp":
        return "not_applicable", "not TCP"
    if e.ends.shared:
        return "not_applicable", "the server's closed connections are counted there too"
    if e.port_range is None:
        return "not_applicable", "the range of ephemeral ports is not visible there"
    low, high = map(int, e.port_range.split())
    ports = high - low + 1
    used = sum(e.around.gauge("client", f"Sockets.TCP.{name}") for name in ("inuse", "tw"))
    return verdict(used <= ROOM * ports), f"{used} TCP sockets, {ports} ports"


@gate(
    evidence="`TcpExt.ListenOverflows` and `ListenDrops` of the server's namespace around the run, "
    "where that is not its node's, whose other listeners are counted too",
    source="a SYN that is dropped comes again after a second and makes the tail of latency",
    cost=AROUND,
)
def listen_queue(e: Evidence) -> Found:
    """The server took every connection: none was turned away at a full queue."""
    if e.cell.traffic.protocol != "tcp":
        return "not_applicable", "not TCP"
    lost = {n: e.around.stack("server", f"TcpExt.Listen{n}") for n in ("Overflows", "Drops")}
    text = ", ".join(f"{n} {c}" for n, c in lost.items())
    if e.ends.server.is_on_node:
        return "not_applicable", f"these are of every listener of the node: {text}"
    return verdict(not any(lost.values())), text


@gate(
    evidence="`TcpExt.PAWSTimewait` of the server's namespace around the run, where the kernel "
    "counts it and the namespace is not its node's",
    source="a client behind a masquerading node comes again by ports that wait at the server, with "
    "other timestamps (RFC 7323, section 5.3): seen behind NodePorts, 8,000 a second, then 10",
    cost=AROUND,
)
def connections_fresh(e: Evidence) -> Found:
    """None was refused for an earlier one of the same addresses that waits in TIME-WAIT."""
    if e.cell.traffic.protocol != "tcp":
        return "not_applicable", "not TCP"
    if PAWS_REFUSED not in e.around.last.counters["server"].stack:
        return "not_applicable", "this kernel does not count it"
    refused = e.around.stack("server", PAWS_REFUSED)
    text = f"{refused} refused; each came again after up to a second"
    if e.ends.server.is_on_node:
        return "not_applicable", f"of every server of the node: {text}"
    return verdict(not refused), text
