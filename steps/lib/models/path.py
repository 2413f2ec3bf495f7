"""Paths: who talks to whom. A closed set, since each one needs its own way to be proven."""

from dataclasses import dataclass
from typing import Literal, get_args

PathName = Literal[
    "in-pod", "same-node", "cross-node", "pod-service", "external-service", "host-to-host",
    "host-to-pod", "pod-to-host", "pod-to-node-port", "pod-headless", "hairpin", "host-service",
    "pod-external", "pod-egress-gateway", "external-load-balancer", "external-gateway",
]  # fmt: skip
PATH_NAMES: tuple[PathName, ...] = get_args(PathName)

EndpointKind = Literal["pod", "host", "external"]
AddressKind = Literal["loopback", "pod", "node", "service", "name"]

SERVICE_ADDRESSES: tuple[AddressKind, ...] = ("service", "name")
"""Those that a Service gives, which Kubernetes alone has."""


@dataclass(frozen=True)
class Placement:
    """Where one end of a path lives: which kind of endpoint, on the n-th node."""

    kind: EndpointKind
    node_index: int


@dataclass(frozen=True)
class Path:
    """One path.

    Attributes:
        client: Where the generator runs.
        server: Where the sink runs; ``None`` means inside the client's own endpoint.
        address: Which address of the server the client dials; ``name`` is the pod's own, which the
            client finds by the name of a headless Service.
        published: The server's ports are published: on its node (CNI ``portMappings``), or by a
            Service with an address in the cluster and a port on the nodes.
        every_plugin_states_it: The file of a plugin says what carries the path, or why it cannot
            exist; else a file that does not is one of which nobody has found out yet.
        absent: Why no target has it; empty where one may.
    """

    client: Placement
    server: Placement | None
    address: AddressKind
    published: bool = False
    description: str = ""
    every_plugin_states_it: bool = True
    absent: str = ""

    @property
    def by_name(self) -> bool:
        """Whether the client finds the server by the name of a Service without an address."""
        return self.address == "name"

    @property
    def kinds(self) -> frozenset[EndpointKind]:
        """Which kinds of endpoints take part."""
        return frozenset((self.client.kind, (self.server or self.client).kind))


PATHS: dict[PathName, Path] = {
    "in-pod": Path(
        Placement("pod", 0), None, "loopback", description="two processes in one pod, by loopback"
    ),
    "same-node": Path(
        Placement("pod", 0), Placement("pod", 0), "pod", description="pod to pod on one node"
    ),
    "cross-node": Path(
        Placement("pod", 0), Placement("pod", 1), "pod", description="pod to pod on another node"
    ),
    "pod-service": Path(
        Placement("pod", 0),
        Placement("pod", 1),
        "service",
        published=True,
        description="pod to pod on another node, by the address of a Service",
    ),
    "external-service": Path(
        Placement("external", 0),
        Placement("pod", 1),
        "node",
        published=True,
        description="client outside of the cluster to a port published on the pod's node",
    ),
    "host-to-host": Path(
        Placement("host", 0), Placement("host", 1), "node", description="node to node, no pods"
    ),
    "host-to-pod": Path(
        Placement("host", 0),
        Placement("pod", 1),
        "pod",
        description="node to a pod on another node",
        every_plugin_states_it=False,
    ),
    "pod-to-host": Path(
        Placement("pod", 0),
        Placement("host", 1),
        "node",
        description="pod to another node itself",
        every_plugin_states_it=False,
    ),
    "pod-to-node-port": Path(
        Placement("pod", 0),
        Placement("pod", 1),
        "node",
        published=True,
        description="pod to a port published on the node of a pod there",
        every_plugin_states_it=False,
    ),
    "pod-headless": Path(
        Placement("pod", 0),
        Placement("pod", 1),
        "name",
        published=True,
        description="pod to pod on another node, found by the name of a Service without address",
        every_plugin_states_it=False,
    ),
    "hairpin": Path(
        Placement("pod", 0),
        None,
        "service",
        published=True,
        description="a pod to itself, by the address of a Service",
        every_plugin_states_it=False,
    ),
    "host-service": Path(
        Placement("host", 0),
        Placement("pod", 1),
        "service",
        published=True,
        description="node to a pod on another node, by the address of a Service",
        every_plugin_states_it=False,
    ),
    "pod-external": Path(
        Placement("pod", 0),
        Placement("external", 0),
        "node",
        description="pod to a server outside of the cluster",
        every_plugin_states_it=False,
    ),
    "pod-egress-gateway": Path(
        Placement("pod", 0),
        Placement("external", 0),
        "node",
        description="pod to a server outside of the cluster, leaving by a gateway's node",
        every_plugin_states_it=False,
        absent="no plugin of the catalog is installed with an egress gateway",
    ),
    "external-load-balancer": Path(
        Placement("external", 0),
        Placement("pod", 1),
        "service",
        published=True,
        description="client outside of the cluster to the address of a load balancer",
        every_plugin_states_it=False,
        absent="no target at hand gives Services of type LoadBalancer an address, so none is made",
    ),
    "external-gateway": Path(
        Placement("external", 0),
        Placement("pod", 1),
        "service",
        published=True,
        description="client outside of the cluster to a listener of the Gateway API",
        every_plugin_states_it=False,
        absent="a Gateway of the catalog's plugins forwards HTTP and TLS, not bare TCP or UDP",
    ),
}
