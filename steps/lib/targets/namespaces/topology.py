"""Building the nodes, the switch between them and the external client; taking all of it down."""

import os
import shutil
from pathlib import Path

from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.cgroups import Groups, kill_all
from steps.lib.targets.namespaces.layout import SWITCH, UNDERLAY, Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.protocol import Node

BRIDGE = "wire"
WIRE_MTU = 65535
"""A switch carries whatever its ends send: the MTU is the nodes' own, which a profile may raise."""

QUIET_IPV6 = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
"""Plugins of IPv4 are measured without the chatter of IPv6, which those that have it turn on."""

PLAIN_WIRE = {
    f"net/bridge/bridge-nf-call-{table}": "0" for table in ("iptables", "ip6tables", "arptables")
}
"""The switch stands for a wire: no packet filter may look at what passes (br_netfilter is on for
each new namespace). Nodes keep the kernel's default, which is part of what is measured."""

ROUTING = {"net/ipv4/ip_forward": "1"}


def build(layout: Layout) -> None:
    """Make switch, nodes and external client; nothing of the target may exist yet."""
    layout.attachments.mkdir(parents=True)
    switch = layout.namespace(SWITCH)
    netns.create(switch)
    set_now(switch, QUIET_IPV6 | PLAIN_WIRE)
    with netlink(switch) as wires:
        wires.add_link(BRIDGE, "bridge", br_stp_state=0, br_mcast_snooping=0)
        wires.set_link(BRIDGE, state="up", mtu=WIRE_MTU)
    for node in layout.nodes:
        _connect(layout, node, QUIET_IPV6 | ROUTING)
    _connect(layout, layout.external, QUIET_IPV6)


def tear_down(layout: Layout, groups: Groups) -> None:
    """Remove every process, namespace, group and file of the target, from any state.

    Processes first: they are found by the namespaces and groups they are in, and would keep the
    namespaces alive. The lock and the block's state stay.
    """
    namespaces = netns.names(layout.prefix)
    kill_all(lambda: groups.processes() | netns.processes(namespaces))
    for name in namespaces:
        netns.delete(name)
    groups.remove()
    if layout.work.exists():
        shutil.rmtree(layout.work)


def set_now(namespace: str, settings: dict[str, str]) -> None:
    """Write settings below ``/proc/sys`` of a namespace; those the kernel lacks are skipped."""
    with netns.inside(namespace):
        for name, value in settings.items():
            file = Path("/proc/sys", name)
            if file.exists():
                file.write_text(value)


def _connect(layout: Layout, node: Node, settings: dict[str, str]) -> None:
    """Make a namespace and plug it into the switch; both ends are made where they belong.

    Neither end is in the machine's own namespace at any time, where its daemons would see it.
    """
    namespace = layout.namespace(node.name)
    netns.create(namespace)
    set_now(namespace, settings)
    place = os.open(netns.path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        with netlink(layout.namespace(SWITCH)) as wires:
            peer = {"ifname": node.uplink, "net_ns_fd": place, "mtu": layout.underlay_mtu}
            wires.add_link(node.name, "veth", mtu=WIRE_MTU, peer=peer)
            wires.set_link(node.name, master=wires.link(BRIDGE).index, state="up")
    finally:
        os.close(place)
    with netlink(namespace) as own:
        own.set_link("lo", state="up")
        own.add_address(node.uplink, node.address, UNDERLAY.prefixlen)
        own.set_link(node.uplink, state="up")
