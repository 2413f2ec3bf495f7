"""The way from node to node: set up, taken down and read back, by the kind the plugin declares."""

from steps.lib.models import Plugin, Routes, SharedLink, Vxlan
from steps.lib.targets.namespaces.layout import Layout
from steps.lib.targets.namespaces.links import Netlink, netlink
from steps.lib.targets.protocol import Node

READ_BACK = ("IFLA_VXLAN_ID", "IFLA_VXLAN_LOCAL", "IFLA_VXLAN_PORT", "IFLA_VXLAN_LEARNING")

InterNode = Routes | Vxlan | SharedLink


def set_up(layout: Layout, plugin: Plugin, way: InterNode) -> None:
    """Let every node reach the others' pods."""
    for node in layout.nodes:
        with netlink(layout.namespace(node.name)) as own:
            match way:
                case Routes():
                    for peer in layout.peers(node):
                        cidr = str(layout.pod_cidr(peer))
                        own.add_route(cidr, peer.address, node.uplink, onlink=False)
                case Vxlan():
                    _add_tunnel(own, layout, plugin, way, node)
                case SharedLink():
                    pass


def take_down(layout: Layout, way: InterNode) -> None:
    """Undo ``set_up``; idempotent."""
    for node in layout.nodes:
        with netlink(layout.namespace(node.name)) as own:
            if isinstance(way, Vxlan):
                own.delete_link(way.device)  # Its routes and entries go with it.
            if isinstance(way, Routes):
                for peer in layout.peers(node):
                    own.delete_route(str(layout.pod_cidr(peer)))


def read_back(layout: Layout, way: InterNode) -> list[str]:
    """What of the way is in force now, as lines that are equal on every install."""
    lines = []
    for node in layout.nodes:
        with netlink(layout.namespace(node.name)) as own:
            uplink = own.link(node.uplink)
            lines.append(f"{node.name} {uplink.name} mtu {uplink.mtu}")
            cidrs = [c(p) for p in layout.peers(node) for c in (layout.pod_cidr, layout.pod_cidr6)]
            peers = tuple(f"to {cidr} " for cidr in cidrs)
            lines += [f"{node.name} {r}" for r in own.routes() if any(p in r for p in peers)]
            if isinstance(way, Vxlan):
                lines += [f"{node.name} {line}" for line in _tunnel(own, way.device)]
    return sorted(lines)


def _add_tunnel(own: Netlink, layout: Layout, plugin: Plugin, way: Vxlan, node: Node) -> None:
    """Make a VXLAN device that knows all its peers, so that it neither floods nor asks.

    As most overlays do: each peer's tunnel end has the first address of its pod subnet and a known
    MAC; the subnet is routed to that address, the address resolves to the MAC, the MAC to the node.
    """
    own.add_link(
        way.device,
        "vxlan",
        address=_mac(layout, node),
        mtu=layout.pod_mtu(plugin),
        vxlan_id=way.vni,
        vxlan_local=node.address,
        vxlan_port=way.port,
        vxlan_learning=False,
    )
    own.add_address(way.device, str(layout.pod_cidr(node)[0]), 32)
    own.set_link(way.device, state="up")
    for peer in layout.peers(node):
        end, mac = str(layout.pod_cidr(peer)[0]), _mac(layout, peer)
        own.add_forwarding(way.device, mac, peer.address)
        own.add_neighbour(way.device, end, mac)
        own.add_route(str(layout.pod_cidr(peer)), end, way.device, onlink=True)


def _tunnel(own: Netlink, device: str) -> list[str]:
    found = own.find(device)
    if found is None:
        return [f"{device} is absent"]
    details = " ".join(f"{name} {found.details.get(name)}" for name in READ_BACK)
    entries = [line for line in own.static_neighbours() if line.startswith(f"dev {device} ")]
    return [f"{device} {found.kind} mtu {found.mtu} up {found.up} {details}", *entries]


def _mac(layout: Layout, node: Node) -> str:
    """A MAC that is the same on every install; the second-lowest bit says locally administered."""
    return f"02:00:0a:59:00:{layout.index(node) + 1:02x}"
