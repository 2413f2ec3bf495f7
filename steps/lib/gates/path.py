"""Gates about the way: where the ends are, which devices carried the bytes, in which sizes."""

from steps.lib.gates.base import Evidence, Found, gate, verdict
from steps.lib.models import IP_HEADER_BYTES, PATHS, Http, Transactions
from steps.lib.reading import Ends

SILENT_SHARE = 0.02
SILENT_BYTES = 64 * 1024
"""A silent device may still carry ARP, probes and control connections."""

WATCHED_FRAMES_MIN = 20

TCP_HEADER_BYTES = 20
TCP_TIMESTAMPS_BYTES = 12
UDP_HEADER_BYTES = 8


@gate(
    evidence="The node of each endpoint, as the target placed it",
    source="same-node pods measured as cross-node are several times faster",
)
def placement(e: Evidence) -> Found:
    """Both ends are where the path's name puts them: on one node, or on two."""
    path = PATHS[e.cell.path]
    client, server = e.ends.client, e.ends.server
    text = f"client {client.kind} on {client.node.name}, server {server.kind} on {server.node.name}"
    wanted = path.server or path.client
    outside = "external" in path.kinds
    one_node = not outside and path.client.node_index == wanted.node_index
    kinds = (client.kind, server.kind) == (path.client.kind, wanted.kind)
    return verdict(kinds and one_node == (client.node.name == server.node.name)), text


@gate(
    evidence="MTU of the endpoint's device and of its way, read in its network namespace",
    source="MTU 9000 set on one side only (Dakić et al. 2024, code)",
)
def mtu(e: Evidence) -> Found:
    """Both ends have the MTU that the plugin is said to leave them."""
    found = {"client": e.ends.client.mtu_bytes, "server": e.ends.server.mtu_bytes}
    wrong = [p for p, mtu in e.expected_mtu_bytes.items() if found[p] != mtu]
    text = ", ".join(f"{p} {m} (expected {e.expected_mtu_bytes[p]})" for p, m in found.items())
    return verdict(not wrong), text


@gate(
    evidence="Two pings with DF set, between the ends, before the traffic",
    source="path-MTU black holes: one byte of segment size took the rate from 2 Gbit/s to 3 Mbit/s",
    cost="two pings before the cell: about 0.1 s, in which the node is idle",
)
def path_mtu(e: Evidence) -> Found:
    """A packet of exactly that MTU passes unfragmented, one byte more does not."""
    if not e.probe:
        return "not_applicable", "both ends share a network namespace"
    fits, too_large = sorted(e.probe)
    text = f"{fits} bytes {_passes(e.probe[fits])}, {too_large} bytes {_passes(e.probe[too_large])}"
    return verdict(e.probe[fits] and not e.probe[too_large]), f"unfragmented: {text}"


def _passes(passed: bool) -> str:
    return "pass" if passed else "do not pass"


@gate(
    evidence="Segment size of the connection, in the tool's document",
    source="rows of MTU 9000 that carried 1500-byte packets (Dakić et al. 2024)",
    needs=("record",),
)
def mss(e: Evidence) -> Found:
    """TCP cut its segments for that MTU."""
    record = e.the_record
    if e.cell.traffic.protocol != "tcp" or record.mss_bytes is None:
        return "not_applicable", "no TCP segment size in the record"
    # A Service's address may be translated before there is a packet: a pod then talks to itself.
    if any(device.endswith(":lo") for device in e.plugin.paths[e.cell.path].carries):
        return "not_applicable", f"loopback: {record.mss_bytes}"
    plain = IP_HEADER_BYTES[e.cell.traffic.family] + TCP_HEADER_BYTES
    headers = (plain + TCP_TIMESTAMPS_BYTES, plain)
    allowed = [mtu - each for mtu in _mtus(e.ends) for each in headers]
    mtus = " or ".join(map(str, _mtus(e.ends)))
    expected = " or ".join(map(str, allowed))
    text = f"{record.mss_bytes} bytes at MTU {mtus}, expected {expected}"
    return verdict(record.mss_bytes in allowed), text


def _mtus(ends: Ends) -> list[int]:
    """MTUs that the segments of a connection may have been cut for.

    A pod's smaller MTU may be one of its routes only: what comes from outside, with its address
    translated to the node's, takes another route, on which the device's own MTU holds.
    """
    mtu = min(ends.client.mtu_bytes, ends.server.mtu_bytes)
    outside, other = ends.client, ends.server
    if other.kind == "external":
        outside, other = other, outside
    if outside.kind != "external" or other.device_mtu_bytes is None:
        return [mtu]
    return list(dict.fromkeys([mtu, min(outside.mtu_bytes, other.device_mtu_bytes)]))


@gate(
    evidence="Byte counters of each stated device at both ends of the window, against the payload",
    source="a VXLAN-against-Geneve comparison whose traffic hardly touched a tunnel "
    "(Dakić et al. 2024)",
    needs=("record", "window"),
)
def path_taken(e: Evidence) -> Found:
    """The bytes went over the devices stated for the path, and over none stated as silent."""
    payload = payload_bytes(e)
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
    return verdict(not wrong), f"{text}; wrong: {', '.join(wrong)}" if wrong else text


@gate(
    evidence="Frames that leave by the sending node's uplink to the other node, looked at in "
    "bursts all through the run: the headers of the connection's own packets, at any depth",
    source="encryption that was asked for and was off: the traffic flows all the same",
    cost="where the plugin claims encryption only: copying some 500 frames a second, 2.6 ± 1.9 % "
    "of the CPU per packet (`benchmarks.watching`)",
)
def encryption(e: Evidence) -> Found:
    """Where the plugin claims to encrypt, nobody between the nodes can read the connection."""
    if not e.plugin.paths[e.cell.path].encrypted:
        return "not_applicable", "the plugin claims none on this path"
    assert e.wire is not None, "what is claimed was watched"
    text = f"{e.wire.frames} frames from node to node, {e.wire.readable} of them readable"
    if e.wire.frames < WATCHED_FRAMES_MIN:
        return "fail", f"{text}: too few to prove anything"
    return verdict(not e.wire.readable), text


def _moved(e: Evidence, reference: str) -> int | None:
    place, device = e.ends.device(reference)
    return None if device is None else e.the_window.device_bytes(place, device)


def payload_bytes(e: Evidence) -> float:
    """Bytes that must have crossed every device of the path while the counters ran.

    Of transactions the headers are most of it: each is at least one packet in each direction. A
    tenth is taken off, since the tool's window and the counters' may differ by milliseconds.
    """
    metrics, wall_s = e.the_record.metrics, e.the_window.cpu.wall_s
    if isinstance(e.cell.traffic, Http):
        rate = float(metrics["transactions_per_s"] or 0)
        return 0.9 * rate * e.cell.traffic.response_bytes * wall_s
    if not isinstance(e.cell.traffic, Transactions):
        ways = ("throughput_bits_per_s", "throughput_reverse_bits_per_s")
        return 0.9 * max(float(metrics.get(way) or 0) for way in ways) / 8 * wall_s
    traffic = e.cell.traffic
    own = UDP_HEADER_BYTES if traffic.protocol == "udp" else TCP_HEADER_BYTES
    headers = IP_HEADER_BYTES[traffic.family] + own
    size = headers + max(traffic.request_bytes, traffic.response_bytes)
    return 0.9 * float(metrics["transactions_per_s"] or 0) * size * wall_s
