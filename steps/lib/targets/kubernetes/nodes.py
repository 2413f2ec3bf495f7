"""The nodes of a cluster, as its API server knows them."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, family_of
from steps.lib.targets.kubernetes.api import CLASS_LABEL, EMULATED, NAMESPACE, Api

NODE_COUNT = 2
"""A path has at most two ends, and every node more is one more that can disturb them."""

MEMBERS = "cnibench-nodes"
"""Document with the names of the nodes that a campaign began with."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def linux(api: Api) -> list[Any]:
    """Every Linux node, by name: a plugin's daemons run on all of them, unless they say else."""
    found = api.call(api.core.list_node).items
    mine = [node for node in found if node.status.node_info.operating_system == "linux"]
    return sorted(mine, key=lambda node: str(node.metadata.name))


def those(api: Api, names: Iterable[str]) -> list[Any]:
    """Nodes with these names.

    Raises:
        RefusedError: one is not in the cluster any more.
    """
    found = {str(node.metadata.name): node for node in linux(api)}
    gone = sorted(set(names) - set(found))
    if gone:
        raise RefusedError(
            f"not in the cluster any more: node {', '.join(gone)}, on which a plugin was installed "
            f"and may be left; bring it back, or delete ConfigMap {MEMBERS} in namespace "
            f"{NAMESPACE} to measure without it"
        )
    return [found[name] for name in sorted(names)]


def workers(nodes: Iterable[Any]) -> list[Any]:
    """Nodes that run no control plane."""
    return [node for node in nodes if CONTROL_PLANE not in (node.metadata.labels or {})]


def environment_class(nodes: Collection[Any]) -> str:
    """What the nodes are: emulated ones say so by a label.

    Nodes that share a kernel, as in the lab, share its CPUs: their numbers are CPU numbers.
    """
    if any((node.metadata.labels or {}).get(CLASS_LABEL) == EMULATED for node in nodes):
        return EMULATED
    return (
        "cluster" if len({node.status.node_info.boot_id for node in nodes}) > 1 else "single-kernel"
    )


def addresses_of(node: Any) -> dict[AddressFamily, str]:
    """The node's own addresses on the underlay.

    Raises:
        RefusedError: it has none of IPv4, by which it is reached.
    """
    listed = [str(a.address) for a in node.status.addresses or [] if a.type == "InternalIP"]
    found = {family_of(address): address for address in reversed(listed)}
    if "ipv4" not in found:
        raise RefusedError(f"node {node.metadata.name} has no InternalIP of IPv4")
    return found


def pod_cidrs_of(node: Any) -> dict[AddressFamily, str]:
    """The ranges that the node's pods are given addresses of."""
    found = node.spec.pod_cidrs or [cidr for cidr in (node.spec.pod_cidr,) if cidr]
    return {family_of(cidr): str(cidr) for cidr in found}


def common_network(cidrs: Iterable[str]) -> str:
    """The smallest network that holds all of them, which are of one family."""
    networks = [ip_network(cidr) for cidr in cidrs]
    common = networks[0]
    while not all(each[0] in common and each[-1] in common for each in networks):
        common = common.supernet()
    return str(common)


def placeholders(api: Api) -> dict[str, str]:
    """Values of the cluster that manifests may name.

    Raises:
        RefusedError: the cluster does not say one of them.
    """
    slices = api.call(api.discovery.list_namespaced_endpoint_slice, "default").items
    servers = [
        s for s in slices if s.metadata.labels.get("kubernetes.io/service-name") == "kubernetes"
    ]
    addresses = [a for s in servers for e in s.endpoints or [] for a in e.addresses]
    if not addresses:
        raise RefusedError("the cluster does not say where its API server is: no EndpointSlice")
    dns = api.get(api.core.read_namespaced_service, "kube-dns", "kube-system")
    cidrs = [pod_cidrs_of(node) for node in linux(api)]
    return {
        "pod_cidr": _common(cidrs, "ipv4"),
        "pod_cidr6": _common(cidrs, "ipv6"),
        "service_cidr": service_cidrs(api).get("ipv4", ""),
        "dns_address": dns.spec.cluster_ip if dns is not None else "",
        "api_host": addresses[0],
        "api_port": str(servers[0].ports[0].port),
    }


def _common(cidrs: Iterable[Mapping[AddressFamily, str]], family: AddressFamily) -> str:
    """The network that holds all ranges of a family; empty if there is none of it."""
    found = [ranges[family] for ranges in cidrs if family in ranges]
    return common_network(found) if found else ""


def service_cidrs(api: Api) -> dict[AddressFamily, str]:
    """The ranges of Services: the API server's own object (networking.k8s.io/v1 ServiceCIDR)."""
    found = api.call(api.request, "GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    return {family_of(cidr): str(cidr) for cidr in found["spec"]["cidrs"]}
