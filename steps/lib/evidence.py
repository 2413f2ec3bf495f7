"""What is looked at beside the traffic, before and after each run, so that gates can judge it.

All of it is read while the node is idle; what it costs of a cell's time is measured by
``benchmarks/overhead.py``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from steps.lib.context import Context
from steps.lib.models import IP_HEADER_BYTES, PATHS, DeviceRef, Path, Plugin, Stream, family_of
from steps.lib.plan import PlannedCell, pod_mtu, underlay_mtu
from steps.lib.reading import Ends, Reading, read
from steps.lib.state import BlockState
from steps.lib.targets.protocol import Endpoint, Target
from steps.lib.targets.wire import Between, Seen
from steps.lib.tuning import ReadBack, never_set, read_back

Watching = Callable[[], Seen | None]
"""Ends it and tells what was seen; None where nothing was to be proven."""

ICMP_HEADER_BYTES = 8
RESENT, ONCE = ("-i", "0.2", "-w", "2"), ("-W", "0.1")
PING_TIMEOUT_S = 3.0
CONGESTION_CONTROL = "net.ipv4.tcp_congestion_control"
PORT_RANGE = "net.ipv4.ip_local_port_range"


@dataclass(frozen=True)
class Before:
    """What was found before a run."""

    tuned: ReadBack
    untuned: tuple[str, ...]
    congestion_control: str | None
    expected_mtu_bytes: Mapping[str, int]
    reading: Reading


@dataclass(frozen=True)
class After:
    """What was found after it."""

    tuned: ReadBack
    port_range: str | None
    reading: Reading


def look_before(context: Context, state: BlockState, planned: PlannedCell, ends: Ends) -> Before:
    """Read everything, the counters last: from then on all that moves is the run's."""
    target = context.target
    tuned = read_back(target, state, _places(ends))
    return Before(
        tuned=tuned,
        untuned=(*never_set(target, state, context.block.profile), *tuned.wrong),
        congestion_control=target.read_endpoint_setting(ends.client, CONGESTION_CONTROL),
        expected_mtu_bytes=_expected_mtu(context, PATHS[planned.cell.path], ends),
        reading=read(target, ends),
    )


def look_after(context: Context, state: BlockState, ends: Ends) -> After:
    """Read the counters first, then whether anybody has changed the settings."""
    target = context.target
    reading = read(target, ends)
    return After(
        tuned=read_back(target, state, _places(ends)),
        port_range=target.read_endpoint_setting(ends.client, PORT_RANGE),
        reading=reading,
    )


@contextmanager
def watching(context: Context, planned: PlannedCell, ends: Ends) -> Iterator[Watching]:
    """Look at the wire until the end of the block, where the plugin claims to encrypt it."""
    if not context.block.plugin.paths[planned.cell.path].encrypted:
        yield lambda: None
        return
    sender, receiver = ends.client, ends.server
    if isinstance(planned.cell.traffic, Stream) and planned.cell.traffic.direction == "reverse":
        sender, receiver = receiver, sender
    between = Between(
        ends.client.address, ends.server.address, sender.node.address, receiver.node.address
    )
    with context.target.watching(sender.node, between) as stop:
        yield stop


def fingerprint(target: Target) -> str | None:
    """Of what is installed, read from the target; None if nothing is."""
    installation = target.installation()
    return installation.fingerprint if installation else None


def offloads(target: Target, plugin: Plugin) -> dict[str, int]:
    """What the nodes' own devices of all paths offload, by ``<node>/<device>``."""
    nodes = {node.name: node for node in target.nodes()}
    _, counters = target.reading(nodes)
    wanted = {name for proof in plugin.paths.values() for name in map(_device, proof.carries)}
    return {
        f"{name}/{device}": found
        for name, node in nodes.items()
        for device, found in counters[name].offloads.items()
        if device in wanted or device == node.uplink
    }


def probe_path_mtu(target: Target, ends: Ends) -> dict[int, bool]:
    """Whether a packet of exactly the MTU passes unfragmented, and one byte more does not.

    To be asked before a policy is in force: one that names ports lets no ping through. What is lost
    is sent again, since one loss is none of the MTU; an error of the own kernel is final.
    """
    if ends.shared:
        return {}
    mtu = ends.client.mtu_bytes
    if ends.probe_address == ends.server.address:
        mtu = min(mtu, ends.server.mtu_bytes)
    return {mtu: _pings(target, ends, mtu, RESENT), mtu + 1: _pings(target, ends, mtu + 1, ONCE)}


def _pings(target: Target, ends: Ends, packet_bytes: int, waiting: Sequence[str]) -> bool:
    family = family_of(ends.probe_address)
    payload = str(packet_bytes - IP_HEADER_BYTES[family] - ICMP_HEADER_BYTES)
    options = [f"-{family[-1]}", "-n", "-q", "-c", "1", *waiting, "-M", "do", "-s", payload]
    process = target.start(ends.client, ["ping", *options, ends.probe_address], "probe")
    return process.stop(PING_TIMEOUT_S)[0] == 0


def _expected_mtu(context: Context, path: Path, ends: Ends) -> dict[str, int]:
    """MTU each end must have: the plugin's for pods, the underlay's for hosts and clients.

    The client outside is no node: no profile changes its MTU, and it may be of another network.
    """
    job, block = context.job, context.block
    outside = job.campaign.target.external_client
    expected = {
        "pod": pod_mtu(job, block.plugin, block.profile),
        "host": underlay_mtu(job, block.profile),
        "external": (outside and outside.mtu_bytes) or job.campaign.target.underlay_mtu,
    }
    return {"client": expected[ends.client.kind], "server": expected[ends.server.kind]}


def _places(ends: Ends) -> tuple[Endpoint, ...]:
    return (ends.client,) if ends.client is ends.server else (ends.client, ends.server)


def _device(reference: DeviceRef) -> str:
    return reference.partition(":")[2]
