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
        description: Who talks to whom, for readers.
        absent: Why no target has it; empty where one may.
    """

    client: Placement
    server: Placement | None
    address: AddressKind
    description: str
    absent: str = ""

    @property
    def by_name(self) -> bool:
        """Whether the client finds the server by the name of a Service without an address."""
        return self.address == "name"

    @property
    def published(self) -> bool:
        """Whether the server's ports are: on its node (CNI ``portMappings``), or by a Service.

        A pod is found at no other address than its own without that.
        """
        to_node = self.address == "node" and (self.server or self.client).kind == "pod"
        return to_node or self.address in SERVICE_ADDRESSES

    @property
    def kinds(self) -> frozenset[EndpointKind]:
        """Which kinds of endpoints take part."""
        return frozenset((self.client.kind, (self.server or self.client).kind))


POD, OTHER_POD = Placement("pod", 0), Placement("pod", 1)
HOST, OTHER_HOST = Placement("host", 0), Placement("host", 1)
OUTSIDE = Placement("external", 0)

PATHS: dict[PathName, Path] = {
    "in-pod": Path(POD, None, "loopback", "two processes in one pod, by loopback"),
    "same-node": Path(POD, POD, "pod", "pod to pod on one node"),
    "cross-node": Path(POD, OTHER_POD, "pod", "pod to pod on another node"),
    "pod-service": Path(
        POD, OTHER_POD, "service", "pod to pod on another node, by the address of a Service"
    ),
    "external-service": Path(
        OUTSIDE,
        OTHER_POD,
        "node",
        "client outside of the cluster to a port published on the pod's node",
    ),
    "host-to-host": Path(HOST, OTHER_HOST, "node", "node to node, no pods"),
    "host-to-pod": Path(HOST, OTHER_POD, "pod", "node to a pod on another node"),
    "pod-to-host": Path(POD, OTHER_HOST, "node", "pod to another node itself"),
    "pod-to-node-port": Path(
        POD, OTHER_POD, "node", "pod to a port published on the node of a pod there"
    ),
    "pod-headless": Path(
        POD,
        OTHER_POD,
        "name",
        "pod to pod on another node, found by the name of a Service without address",
    ),
    "hairpin": Path(POD, None, "service", "a pod to itself, by the address of a Service"),
    "host-service": Path(
        HOST, OTHER_POD, "service", "node to a pod on another node, by the address of a Service"
    ),
    "pod-external": Path(POD, OUTSIDE, "node", "pod to a server outside of the cluster"),
    "pod-egress-gateway": Path(
        POD,
        OUTSIDE,
        "node",
        "pod to a server outside of the cluster, leaving by a gateway's node",
        absent="no plugin of the catalog is installed with an egress gateway",
    ),
    "external-load-balancer": Path(
        OUTSIDE,
        OTHER_POD,
        "service",
        "client outside of the cluster to the address of a load balancer",
        absent="no target at hand gives Services of type LoadBalancer an address, so none is made",
    ),
    "external-gateway": Path(
        OUTSIDE,
        OTHER_POD,
        "service",
        "client outside of the cluster to a listener of the Gateway API",
        absent="a Gateway of the catalog's plugins forwards HTTP and TLS, not bare TCP or UDP",
    ),
}

STATED_BY_EVERY_PLUGIN: tuple[PathName, ...] = (
    "in-pod", "same-node", "cross-node", "pod-service", "external-service", "host-to-host",
)  # fmt: skip
"""A plugin's file says what carries them, or why they cannot exist; of another path that it does
not state nobody has found out yet."""
