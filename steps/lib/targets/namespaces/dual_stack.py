"""IPv6 beside IPv4: on nodes and the external client for as long as a plugin has it installed."""

from steps.lib.targets.namespaces.layout import UNDERLAY6, Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.namespaces.topology import QUIET_IPV6, set_now
from steps.lib.targets.protocol import Node

AT_ONCE_IPV6 = {
    f"net/ipv6/conf/{which}/{name}": value
    for name, value in (("accept_dad", "0"), ("router_solicitations", "0"), ("disable_ipv6", "0"))
    for which in ("all", "default")
}
"""Without duplicate address detection, which costs a second for each new device; nobody answers
where routers are asked for."""

FORWARDING = "net/ipv6/conf/all/forwarding"


def set_up(layout: Layout) -> None:
    """Give each node, and the external client, an IPv6 address; nodes forward."""
    for node in (*layout.nodes, layout.external):
        namespace = layout.namespace(node.name)
        set_now(namespace, AT_ONCE_IPV6 | _of_uplink(node))
        with netlink(namespace) as own:
            own.add_address(node.uplink, layout.address6(node), UNDERLAY6.prefixlen)
    for node in layout.nodes:
        set_now(layout.namespace(node.name), {FORWARDING: "1"})


def add_routes(layout: Layout) -> None:
    """Let every node reach the others' pods."""
    for node in layout.nodes:
        with netlink(layout.namespace(node.name)) as own:
            for peer in layout.peers(node):
                cidr = str(layout.pod_cidr6(peer))
                own.add_route(cidr, layout.address6(peer), node.uplink, onlink=False)


def take_down(layout: Layout) -> None:
    """Undo both; what is disabled has neither addresses nor routes."""
    for node in (*layout.nodes, layout.external):
        set_now(layout.namespace(node.name), {FORWARDING: "0"} | QUIET_IPV6)


def _of_uplink(node: Node) -> dict[str, str]:
    """The uplink is older than the default, and `all` says nothing of detection."""
    return {f"net/ipv6/conf/{node.uplink}/accept_dad": "0"}
