"""The underlay: a switch, and one namespace with one uplink for everything that is plugged in."""

import os
from pathlib import Path

from lab.layout import (
    CLIENT,
    CLUSTERS,
    GATEWAY,
    SWITCH,
    UNDERLAY,
    UNDERLAY6,
    UNDERLAY_MTU,
    Cluster,
    Host,
    Lab,
)
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.links import Netlink, netlink

BRIDGE = "wire"
UPLINK = "eth0"

PLAIN_WIRE = {
    f"net/bridge/bridge-nf-call-{table}": "0" for table in ("iptables", "ip6tables", "arptables")
}
"""The switch stands for a wire: no packet filter may look at what passes."""

ROUTING = {"net/ipv4/ip_forward": "1"}
ROUTING6 = {
    # Else a new address can be used after a second only, and nobody else here has the same.
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/all/forwarding": "1",
}
ANYWHERE, ANYWHERE6 = "0.0.0.0/0", "::/0"
GATEWAY_HOST = Host(SWITCH, GATEWAY)


def make_switch(lab: Lab) -> None:
    """Make switch and external client, or what is missing of them.

    The switch is also the gateway that nodes have as their default route, since plugins look for
    one. It knows the way to pods of the management cluster, which are outside of the target. Else
    nothing is behind it: it forwards and has no route, so that whoever calls is told at once.
    """
    name = lab.namespaces[SWITCH]
    if not netns.is_whole(name):
        netns.delete(name)
        netns.create(name)
    dual_stack = any(lab.is_dual_stack(cluster) for cluster in CLUSTERS)
    set_now(name, PLAIN_WIRE | ROUTING | (ROUTING6 if dual_stack else {}))
    with netlink(name) as wires:
        if wires.find(BRIDGE) is None:
            wires.add_link(BRIDGE, "bridge", br_stp_state=0, br_mcast_snooping=0, mtu=UNDERLAY_MTU)
        _give(wires, BRIDGE, GATEWAY_HOST, dual_stack=dual_stack)
        wires.set_link("lo", state="up")
        wires.set_link(BRIDGE, state="up")
        for cluster in (each for each in CLUSTERS if each.fixed_network):
            if not any(f"to {cluster.pod_cidr}" in route for route in wires.routes()):
                wires.add_route(cluster.pod_cidr, cluster.nodes[0].address, BRIDGE, onlink=False)
    if not is_plugged(lab, CLIENT, dual_stack=dual_stack):
        plug(lab, CLIENT, dual_stack=dual_stack)


def plug_control_plane(lab: Lab, cluster: Cluster) -> None:
    """Make a control plane's namespace where it is missing."""
    host = Host(cluster.name, cluster.address)
    if is_plugged(lab, host, dual_stack=False):
        return
    plug(lab, host, dual_stack=False)
    # Webhooks and aggregated APIs are behind Services, which only a node's proxy knows.
    with netlink(lab.namespaces[host.name]) as own:
        own.add_route(cluster.service_cidr, cluster.nodes[0].address, UPLINK, onlink=False)


def is_plugged(lab: Lab, host: Host, *, dual_stack: bool) -> bool:
    """Whether a host's namespace is there with its uplink up and its default routes set."""
    name = lab.namespaces[host.name]
    if not netns.is_whole(name):
        return False
    with netlink(name) as own:
        link = own.find(UPLINK)
        gateways = [GATEWAY, *([GATEWAY_HOST.address6] if dual_stack else [])]
        routes = [words for words in own.routes() if "to default/0" in words]
        led = all(any(f"via {gateway} " in words for words in routes) for gateway in gateways)
        return link is not None and link.up and led


def plug(lab: Lab, host: Host, *, dual_stack: bool) -> None:
    """Make a host's namespace anew and plug it into the switch, with IPv6 beside IPv4 if asked for.

    Neither end of the cable is in the machine's own namespace at any time.
    """
    unplug(lab, host)
    name = lab.namespaces[host.name]
    netns.create(name)
    set_now(name, ROUTING | (ROUTING6 if dual_stack else {}))
    place = os.open(netns.path(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        with netlink(lab.namespaces[SWITCH]) as wires:
            peer = {"ifname": UPLINK, "net_ns_fd": place, "mtu": UNDERLAY_MTU}
            wires.add_link(host.name, "veth", mtu=UNDERLAY_MTU, peer=peer)
            wires.set_link(host.name, master=wires.link(BRIDGE).index, state="up")
    finally:
        os.close(place)
    with netlink(name) as own:
        _configure(own, host, dual_stack=dual_stack)


def unplug(lab: Lab, host: Host) -> None:
    """Pull the cable and forget the namespace; absent is fine.

    The kernel buries a namespace some milliseconds later, and its cable only then: without pulling
    it here, the switch's port of that name could still be taken.
    """
    if netns.is_whole(lab.namespaces[SWITCH]):
        with netlink(lab.namespaces[SWITCH]) as wires:
            wires.delete_link(host.name)
    netns.delete(lab.namespaces[host.name])


def set_now(namespace: str, settings: dict[str, str]) -> None:
    """Write settings below ``/proc/sys`` of a namespace; those the kernel lacks are skipped."""
    with netns.inside(namespace):
        for name, value in settings.items():
            file = Path("/proc/sys", name)
            if file.exists():
                file.write_text(value)


def _configure(own: Netlink, host: Host, *, dual_stack: bool) -> None:
    own.set_link("lo", state="up")
    _give(own, UPLINK, host, dual_stack=dual_stack)
    own.set_link(UPLINK, state="up")
    own.add_route(ANYWHERE, GATEWAY, UPLINK, onlink=False)
    if dual_stack:
        own.add_route(ANYWHERE6, GATEWAY_HOST.address6, UPLINK, onlink=False)


def _give(own: Netlink, device: str, host: Host, *, dual_stack: bool) -> None:
    """Give a device the addresses of a host that it has not yet."""
    wanted = {host.address: UNDERLAY.prefixlen}
    if dual_stack:
        wanted[host.address6] = UNDERLAY6.prefixlen
    present = own.addresses()
    for address, length in wanted.items():
        if f"{device} {address}/{length}" not in present:
            own.add_address(device, address, length)
