"""IPv6 beside IPv4: on nodes and the external client for as long as a plugin has it installed."""

from steps.lib.targets.namespaces.layout import UNDERLAY6, Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.namespaces.topology import QUIET_IPV6, set_now

HASTE = {"accept_dad": "0", "router_solicitations": "0"}
PATIENCE = {"accept_dad": "1", "router_solicitations": "-1"}
"""As the kernel has them for a new device (net/ipv6/addrconf.c)."""


def of_device(device: str, values: dict[str, str]) -> dict[str, str]:
    """Settings of a device's IPv6, or of ``default``, which new ones take."""
    return {f"net/ipv6/conf/{device}/{name}": value for name, value in values.items()}


AT_ONCE_IPV6 = of_device("default", HASTE) | {
    f"net/ipv6/conf/{which}/disable_ipv6": "0" for which in ("all", "default")
}
"""Without duplicate address detection, which costs a second for each new device; nobody answers
where routers are asked for."""

FORWARDING = "net/ipv6/conf/all/forwarding"


def set_up(layout: Layout) -> None:
    """Give each node, and the external client, an IPv6 address; nodes forward."""
    for node in (*layout.nodes, layout.external):
        namespace = layout.namespace(node.name)
        # The uplink is older than the default, and takes its addresses once it is enabled.
        set_now(namespace, of_device(node.uplink, HASTE) | AT_ONCE_IPV6)
        with netlink(namespace) as own:
            own.add_address(node.uplink, node.known_by("ipv6").address, UNDERLAY6.prefixlen)
    for node in layout.nodes:
        set_now(layout.namespace(node.name), {FORWARDING: "1"})


def add_routes(layout: Layout) -> None:
    """Let every node reach the others' pods."""
    for node in layout.nodes:
        with netlink(layout.namespace(node.name)) as own:
            for peer in layout.peers(node):
                cidr = str(layout.pod_cidr6(peer))
                own.add_route(cidr, peer.known_by("ipv6").address, node.uplink, onlink=False)


def take_down(layout: Layout) -> None:
    """Undo both; what is disabled has neither addresses nor routes."""
    for node in (*layout.nodes, layout.external):
        patient = of_device(node.uplink, PATIENCE) | of_device("default", PATIENCE)
        set_now(layout.namespace(node.name), {FORWARDING: "0"} | QUIET_IPV6 | patient)
