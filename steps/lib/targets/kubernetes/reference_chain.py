"""The reference CNI plugins on real nodes: a configuration file, and a way between the nodes.

The programs themselves are on every Kubernetes node (package ``kubernetes-cni``, or what a
distribution has), in ``/opt/cni/bin``; the node agents lay out the rest. The way between the nodes
is the same as on the embedded target, made by iproute2 on each node instead of by netlink here.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, CniChain, Plugin, Routes, Vxlan
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.nodes import common_network
from steps.lib.targets.namespaces.conflist import render
from steps.lib.targets.protocol import Node

MASQUERADE = "ip cnibench-masquerade"
CONFIGURATION = "/etc/cni/net.d/10-cnibench.conflist"
STATE_DIRECTORY = "/var/lib/cni/cnibench"


@dataclass(frozen=True)
class ReferenceChain:
    """Lays a chain out on nodes. ``pod_cidrs`` are by node name and address family."""

    agents: Agents
    nodes: Sequence[Node]
    pod_cidrs: Mapping[str, Mapping[AddressFamily, str]]
    families: Sequence[AddressFamily]
    pod_mtu_bytes: int

    def lay_out(self, plugin: Plugin, chain: CniChain) -> None:
        """Way first: a node is ready as soon as it has a configuration."""
        for node in self.nodes:
            for command in [*self._way(node, chain), self._masquerade()]:
                self._run(node, command)
        for node in self.nodes:
            text = json.dumps(render(plugin.name, chain, self._values(node)), indent=2)
            self.agents.call(node.name, "write_file", path=CONFIGURATION, text=text)

    def leaves(self, node: Node, chain: CniChain) -> dict[str, list[str]]:
        """Clean-up actions that undo ``lay_out`` on a node, as ``Cleanup`` names them."""
        actions = {"paths": [CONFIGURATION, STATE_DIRECTORY], "nft_tables": [MASQUERADE]}
        if isinstance(chain.inter_node, Vxlan):
            actions["links"] = [chain.inter_node.device]
        if isinstance(chain.inter_node, Routes):
            actions["routes"] = [cidr for cidr, _ in self._routes(node)]
        return actions

    def _values(self, node: Node) -> dict[str, str | int]:
        of_family = self.pod_cidrs[node.name]
        return {
            "pod_cidr": of_family["ipv4"],
            "pod_cidr6": of_family.get("ipv6", ""),
            "pod_mtu": self.pod_mtu_bytes,
            "uplink": node.uplink,
            "state_dir": STATE_DIRECTORY,
        }

    def _peers(self, node: Node) -> list[Node]:
        return [other for other in self.nodes if other != node]

    def _way(self, node: Node, chain: CniChain) -> list[list[str]]:
        match chain.inter_node:
            case Routes():
                return [["ip", "route", "replace", c, "via", a] for c, a in self._routes(node)]
            case Vxlan() as way:
                return self._tunnel(node, way)
            case _:
                raise RefusedError(f"no way between nodes of kind {chain.inter_node.kind} here")

    def _routes(self, node: Node) -> list[tuple[str, str]]:
        """Where the pods of other nodes are, of each family, and by whom they are reached."""
        return [
            (self.pod_cidrs[peer.name][family], peer.known_by(family).address)
            for peer in self._peers(node)
            for family in self.families
        ]

    def _cidr(self, node: Node) -> str:
        return self.pod_cidrs[node.name]["ipv4"]

    def _masquerade(self) -> list[str]:
        """Pods reach what is outside of the cluster by their node's address, as they are used to.

        The API server is there too, which knows no way to pods. It is reached by IPv4.
        """
        pods = common_network(map(self._cidr, self.nodes))
        chain = "{ type nat hook postrouting priority srcnat; }"
        rule = f"ip saddr {pods} ip daddr != {{ {pods}, 224.0.0.0/4 }} masquerade"
        commands = (
            f"add table {MASQUERADE}",
            f"add chain {MASQUERADE} postrouting {chain}",
            f"flush chain {MASQUERADE} postrouting",
            f"add rule {MASQUERADE} postrouting {rule}",
        )
        return ["nft", "; ".join(commands)]

    def _tunnel(self, node: Node, way: Vxlan) -> list[list[str]]:
        """A VXLAN device with static entries; see the embedded target's ``internode``.

        Each command can be repeated, as agents do when a stream breaks before the answer. A VXLAN
        device that is there cannot be replaced (the kernel does not change its port): it is
        deleted, in the same command.
        """
        device = way.device
        vxlan = ["type", "vxlan", "id", str(way.vni), "dstport", str(way.port), "nolearning"]
        make = ["ip", "link", "add", device, "address", self._mac(node), "mtu"]
        make += [str(self.pod_mtu_bytes), *vxlan, "local", node.address]
        delete = f"ip link delete {shlex.quote(device)} 2>/dev/null || true"
        commands = [
            ["sh", "-c", f"{delete}; {shlex.join(make)}"],
            ["ip", "address", "replace", f"{self._end(node)}/32", "dev", device],
            ["ip", "link", "set", device, "up"],
        ]
        neighbour = ["ip", "neighbour", "replace"]
        for peer in self._peers(node):
            end, mac, cidr = self._end(peer), self._mac(peer), self._cidr(peer)
            commands += [
                ["bridge", "fdb", "replace", mac, "dev", device, "dst", peer.address],
                [*neighbour, end, "lladdr", mac, "dev", device, "nud", "permanent"],
                ["ip", "route", "replace", cidr, "via", end, "dev", device, "onlink"],
            ]
        return commands

    def _end(self, node: Node) -> str:
        return str(IPv4Network(self._cidr(node))[0])

    def _mac(self, node: Node) -> str:
        """The same on every install; the second-lowest bit says locally administered."""
        return f"02:00:0a:59:00:{list(self.nodes).index(node) + 1:02x}"

    def _run(self, node: Node, command: list[str]) -> None:
        result = self.agents.call(node.name, "run", command=command)
        if result["exit_code"] != 0:
            raise RefusedError(f"{node.name}: {' '.join(command)}: {result['stderr'].strip()}")
