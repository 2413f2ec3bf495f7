"""Names, addresses, ports and folders of a lab. All that others hard-code about it is here."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from steps.lib.errors import InputError

ClusterName = Literal["target", "mgmt"]
NodeKind = Literal["namespaces", "vm"]

UNDERLAY = IPv4Network("10.98.0.0/24")
"""Every lab has a switch of its own, so two labs may use the same addresses."""

UNDERLAY6 = IPv6Network("fd98::/64")
"""Of labs whose target has both families: hosts have the numbers that they have in ``UNDERLAY``."""

UNDERLAY_MTU = 1500
GATEWAY = "10.98.0.1"
API_PORT = 6443
"""Where an API server listens in its own network namespace."""

DEFAULT_PORT = 16443
DATA = Path(__file__).parent / "data"

NODES_FILE = "nodes"
"""In a cluster's folder: the kind of its nodes."""

FAMILIES_FILE = "families"
"""In a cluster's folder: the address families that it has, in a line."""

EMULATION_FACTOR = 15.0
"""How much longer a node takes for everything when a machine is emulated in software, at most."""


@dataclass(frozen=True)
class Host:
    """Something with one address on the underlay: a node, a control plane, the external client."""

    name: str
    address: str

    @property
    def address6(self) -> str:
        """The IPv6 address, in a lab that has any."""
        return str(UNDERLAY6[int(IPv4Address(self.address)) - int(UNDERLAY[0])])


@dataclass(frozen=True)
class Door:
    """A Service of a cluster to which a port of the machine's 127.0.0.1 leads."""

    name: str
    port_offset: int
    address_offset: int
    """Of its ClusterIP in the cluster's range."""

    service_port: int
    deployments: tuple[str, ...]
    """``namespace/name`` of what must be available behind it."""


@dataclass(frozen=True)
class Cluster:
    """One Kubernetes cluster of the lab."""

    name: ClusterName
    address: str
    """Of the control plane."""
    port_offset: int
    pod_cidr: str
    service_cidr: str
    nodes: tuple[Host, ...]
    fixed_network: bool
    """Whether the lab lays down a CNI configuration; else nodes wait for a plugin."""

    doors: tuple[Door, ...] = ()
    """To Argo and the store, on the cluster that has them."""

    pod_cidr6: str = ""
    """Of IPv6, like the next: on a cluster that can be brought up with both families."""

    service_cidr6: str = ""

    @property
    def api_service_address(self) -> str:
        """ClusterIP of the API server: the first of the range, as Kubernetes takes it."""
        return str(IPv4Network(self.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        """ClusterIP of the cluster's DNS."""
        return str(IPv4Network(self.service_cidr)[10])

    def address_of(self, door: Door) -> str:
        """ClusterIP of the Service behind a door."""
        return str(IPv4Network(self.service_cidr)[door.address_offset])

    def piece_of(self, door: Door) -> str:
        """Name of the piece that keeps a door open."""
        return f"{self.name}-{door.name}"

    @property
    def pieces(self) -> tuple[str, ...]:
        """Everything of it that is started and can die, in the order of starting."""
        doors = (self.piece_of(door) for door in self.doors)
        return (*self.control_plane, *(node.name for node in self.nodes), *doors)

    @property
    def control_plane(self) -> tuple[str, ...]:
        """Its pieces that are not nodes."""
        parts = ("etcd", "apiserver", "gateway", "controllers", "scheduler")
        return tuple(f"{self.name}-{part}" for part in parts)


STORE_FOLDER = "var/lib/minio"
"""Of the store's data, in the root file system of its node."""

STORE = Door("store", 2, 20, 9000, ("minio/minio",))
ARGO = Door("argo", 3, 21, 2746, ("argo/workflow-controller", "argo/argo-server"))

CLUSTERS = (
    Cluster(
        name="target",
        address="10.98.0.10",
        port_offset=0,
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
        nodes=(Host("n1", "10.98.0.11"), Host("n2", "10.98.0.12")),
        fixed_network=False,
        pod_cidr6="fd99::/56",
        service_cidr6="fd9a::/112",
    ),
    Cluster(
        name="mgmt",
        address="10.98.0.20",
        port_offset=1,
        pod_cidr="10.245.0.0/16",
        service_cidr="10.97.0.0/16",
        nodes=(Host("m1", "10.98.0.21"),),
        fixed_network=True,
        doors=(STORE, ARGO),
    ),
)

CLIENT = Host("client", "10.98.0.100")
SWITCH = "switch"


@dataclass(frozen=True)
class Lab:
    """A lab by its name; labs of different names and ports exist side by side."""

    name: str = "lab"
    port: int = DEFAULT_PORT
    """Of the target's API server on the machine's 127.0.0.1; the next ones are mgmt's, the store's
    and Argo's."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]{1,12}", self.name):
            raise InputError(f"{self.name!r} cannot name a lab: write 1 to 12 of a-z and 0-9")

    @property
    def run(self) -> Path:
        """Certificates, kubeconfigs: what is of no use once the lab is down."""
        return Path("/run") / f"cnibench-{self.name}"

    @property
    def disk(self) -> Path:
        """Disks of the nodes, data of etcd, logs."""
        return cache() / "lab" / self.name

    @property
    def logs(self) -> Path:
        """Logs of the control planes; a node's are in its /var/log."""
        return self.disk / "log"

    @property
    def kubeconfig(self) -> Path:
        """For people and for cnibench, with one context for each cluster."""
        return self.run / "kubeconfig"

    @property
    def group(self) -> str:
        """Control group of all processes; its dot keeps it apart from any embedded target's."""
        return f"cnibench.{self.name}"

    @cached_property
    def namespaces(self) -> dict[str, str]:
        """Every network namespace, by what is in it."""
        nodes = [node.name for cluster in CLUSTERS for node in cluster.nodes]
        places = [SWITCH, CLIENT.name, *(cluster.name for cluster in CLUSTERS), *nodes]
        return {place: f"cnib-{self.name}-{place}" for place in places}

    def port_of(self, cluster: Cluster) -> int:
        """Port of its API server on the machine's 127.0.0.1."""
        return self.port + cluster.port_offset

    def url_of(self, door: Door) -> str:
        """Where this machine reaches a Service."""
        return f"http://127.0.0.1:{self.port + door.port_offset}"

    def context(self, cluster: Cluster) -> str:
        """Its context in the kubeconfig: ``cnibench-lab`` for the target of the default lab."""
        return f"cnibench-{self.name}" if cluster.name == "target" else f"cnibench-{cluster.name}"

    def folder(self, cluster: Cluster) -> Path:
        """Its certificates and kubeconfigs. It exists from the first step of ``up`` on."""
        return self.run / cluster.name

    def kind_of_nodes(self, cluster: Cluster) -> NodeKind:
        """What the nodes of a cluster are; ``up`` has written it down."""
        file = self.folder(cluster) / NODES_FILE
        return "vm" if file.exists() and file.read_text() == "vm" else "namespaces"

    def is_dual_stack(self, cluster: Cluster) -> bool:
        """Whether a cluster has IPv6 beside IPv4; ``up`` has written it down."""
        file = self.folder(cluster) / FAMILIES_FILE
        return file.exists() and "ipv6" in file.read_text()

    def pod_cidrs(self, cluster: Cluster) -> str:
        """Ranges of its pods, as Kubernetes takes them."""
        return self._by_family(cluster, cluster.pod_cidr, cluster.pod_cidr6)

    def service_cidrs(self, cluster: Cluster) -> str:
        """Ranges of its Services, as Kubernetes takes them."""
        return self._by_family(cluster, cluster.service_cidr, cluster.service_cidr6)

    def _by_family(self, cluster: Cluster, ipv4: str, ipv6: str) -> str:
        return f"{ipv4},{ipv6}" if self.is_dual_stack(cluster) else ipv4

    @property
    def patience(self) -> float:
        """By how much longer than usual one waits for something."""
        kinds = [self.kind_of_nodes(cluster) for cluster in self.wanted()]
        return EMULATION_FACTOR if "vm" in kinds else 1.0

    def wanted(self) -> list[Cluster]:
        """Clusters that somebody asked for by ``up`` and did not take down."""
        return [cluster for cluster in CLUSTERS if self.folder(cluster).is_dir()]


def select(only: ClusterName | None) -> Sequence[Cluster]:
    """The cluster of a name, or all."""
    return [cluster for cluster in CLUSTERS if only in (None, cluster.name)]


def cluster_of(node: str) -> tuple[Cluster, Host]:
    """A node by name, and its cluster.

    Raises:
        InputError: no such node.
    """
    for cluster in CLUSTERS:
        for host in cluster.nodes:
            if host.name == node:
                return cluster, host
    names = [host.name for cluster in CLUSTERS for host in cluster.nodes]
    raise InputError(f"there is no node {node!r} in the lab; there are: {', '.join(names)}")


def cache() -> Path:
    """The cache folder, as images/lib.sh finds it."""
    own = os.environ.get("CNIBENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "cnibench"
