"""Names, places and addresses of one target. Nothing here touches the machine.

Everything carries the target's name, so that whatever a killed run left behind can be found: the
network namespaces ``cnib-<target>.<role>``, the directory ``/run/cnibench/<target>``, the cgroup
``cnibench-<target>``. The dot cannot be part of a target's name: target ``a`` never takes
``cnib-a-b.n1`` of target ``a-b`` for its own.
"""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

from steps.lib.models import Plugin
from steps.lib.targets.protocol import Node

RUN = Path("/run/cnibench")
UNDERLAY = IPv4Network("10.89.0.0/24")
PODS = IPv4Network("10.244.0.0/16")
UNDERLAY6 = IPv6Network("fd89::/64")
PODS6 = IPv6Network("fd8a::/48")
"""Of plugins that have both families; unique local addresses (RFC 4193)."""
UPLINK = "eth0"
POD_DEVICE = "eth0"

NODE_COUNT = 2
SWITCH = "switch"
EXTERNAL = "ext"


@dataclass(frozen=True)
class Layout:
    """One target's plan of itself."""

    name: str
    underlay_mtu: int

    # ---------- names
    @property
    def prefix(self) -> str:
        """Begins the name of each of the target's network namespaces, and of no other."""
        return f"cnib-{self.name}."

    @property
    def cgroup(self) -> str:
        """Name of the control group that holds all traffic tools."""
        return f"cnibench-{self.name}"

    def namespace(self, role: str) -> str:
        """Namespace of a node, of the switch, or of the external client."""
        return f"{self.prefix}{role}"

    def pod_namespace(self, pod: str) -> str:
        """Namespace of a pod."""
        return f"{self.prefix}pod-{pod}"

    # ---------- places
    @property
    def directory(self) -> Path:
        """Home of the target; the block's state lies here and outlives ``prepare``."""
        return RUN / self.name

    @property
    def state_file(self) -> Path:
        """The block's state."""
        return self.directory / "state.json"

    @property
    def work(self) -> Path:
        """What ``prepare`` wipes: the installed plugin, its configuration and files, its pods."""
        return self.directory / "work"

    @property
    def attachments(self) -> Path:
        """One file for each pod that is, or may be, attached."""
        return self.work / "attachments"

    @property
    def installed_file(self) -> Path:
        """The plugin that is installed."""
        return self.work / "installed.json"

    def conflist(self, node: Node) -> Path:
        """The plugin's rendered network configuration on a node."""
        return self.work / node.name / "conf" / "network.conflist"

    def plugin_files(self, node: Node) -> Path:
        """``{state_dir}``: where plugins keep their files on a node."""
        return self.work / node.name / "cni"

    # ---------- addresses
    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in a fixed order."""
        return tuple(_node(f"n{i}", i) for i in range(1, NODE_COUNT + 1))

    @cached_property
    def external(self) -> Node:
        """The external client, on the underlay like a node but never with a plugin."""
        return _node(EXTERNAL, UNDERLAY.num_addresses - 2)

    def index(self, node: Node) -> int:
        """Number of the node, from 0."""
        return self.nodes.index(node)

    def peers(self, node: Node) -> tuple[Node, ...]:
        """The other nodes."""
        return tuple(n for n in self.nodes if n != node)

    def pod_cidr(self, node: Node) -> IPv4Network:
        """Pods of a node, for plugins that give each node its own subnet."""
        return list(PODS.subnets(new_prefix=24))[self.index(node) + 1]

    def pod_cidr6(self, node: Node) -> IPv6Network:
        """The same of IPv6."""
        return IPv6Network((int(PODS6[0]) + ((self.index(node) + 1) << 64), 64))

    def pod_range(self, node: Node) -> tuple[IPv4Address, IPv4Address]:
        """First and last underlay address set apart for a node's pods, 64 a node."""
        first = 64 * (self.index(node) + 1)
        return UNDERLAY[first], UNDERLAY[first + 63]

    def pod_mtu(self, plugin: Plugin) -> int:
        """MTU a pod must have under the plugin."""
        return self.underlay_mtu - plugin.mtu_overhead_bytes

    def placeholders(self, node: Node, plugin: Plugin) -> dict[str, str | int]:
        """Values of the placeholders of ``CniChain.plugins`` on a node."""
        first, last = self.pod_range(node)
        return {
            "pod_cidr": str(self.pod_cidr(node)),
            "pod_cidr6": str(self.pod_cidr6(node)),
            "pod_mtu": self.pod_mtu(plugin),
            "uplink": node.uplink,
            "underlay_cidr": str(UNDERLAY),
            "pod_range_start": str(first),
            "pod_range_end": str(last),
            "state_dir": str(self.plugin_files(node)),
        }


def _node(name: str, number: int) -> Node:
    """With that number of the underlay in both of its ranges."""
    return Node(name, str(UNDERLAY[number]), UPLINK, str(UNDERLAY6[number]))
