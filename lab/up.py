"""``up``: bring up what is missing of the clusters, and leave alone what runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

from lab import (
    api,
    certificates,
    control_plane,
    images,
    management,
    network,
    node,
    processes,
    requirements,
)
from lab.down import discard
from lab.groups import Groups
from lab.layout import DATA, FAMILIES_FILE, NODES_FILE, Cluster, Host, Lab, NodeKind
from lab.lock import exclusively
from lab.progress import say
from steps.lib.errors import InputError, TransientError

REGISTER_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 120.0
IPV6 = Path("/proc/net/if_inet6")
MACHINES_FAMILY = "virtual machines have IPv4 only: leave --dual-stack out"
COREDNS_IMAGE = "registry.k8s.io/coredns/coredns:v1.15.0"


def up(
    lab: Lab,
    clusters: Sequence[Cluster],
    nodes: NodeKind | None = None,
    *,
    dual_stack: bool = False,
) -> None:
    """Bring up clusters, from any state.

    Args:
        lab: Which lab.
        clusters: Which of its clusters.
        nodes: What the nodes of the target are to be; None is namespaces, or what they are.
        dual_stack: Whether the target shall have IPv6 beside IPv4; one that has it keeps it.

    Raises:
        InputError: the machine lacks something, or what is up is of another kind; nothing was
            started.
        CnibenchError: a piece ended; its last words are in the message.
        TransientError: a piece did not come up in time.
    """
    requirements.check(lab, clusters, nodes)
    # Before waiting for the lock, so that `down` ends those who wait, too.
    Groups(lab.group).enter()
    with exclusively(lab.group):
        for cluster in clusters:
            _begin(lab, cluster, nodes, dual_stack=dual_stack)
        certificates.write_kubeconfig(lab)
        network.make_switch(lab)
        if not all(node.pid(lab, host) for each in clusters for host in each.nodes):
            images.prepare()
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(_up, lab, cluster) for cluster in clusters]:
                done.result()
        management.link_target(lab)


def _begin(lab: Lab, cluster: Cluster, nodes: NodeKind | None, *, dual_stack: bool) -> None:
    """Mark a cluster as wanted. What is left of one without certificates cannot be used again.

    They are below ``/run``, which is empty after the machine was started anew; disks are not.
    """
    if not certificates.pki(lab, cluster).is_dir():
        discard(lab, cluster)
    kind = _kind(lab, cluster, nodes)
    families = _families(lab, cluster, kind, dual_stack=dual_stack)
    lab.folder(cluster).mkdir(parents=True, exist_ok=True, mode=0o700)
    (lab.folder(cluster) / NODES_FILE).write_text(kind)
    (lab.folder(cluster) / FAMILIES_FILE).write_text(families)
    certificates.make(lab, cluster)


def _kind(lab: Lab, cluster: Cluster, asked: NodeKind | None) -> NodeKind:
    """What its nodes are to be; the management cluster's are never machines."""
    if cluster.fixed_network:
        return "namespaces"
    found = lab.kind_of_nodes(cluster) if cluster in lab.wanted() else None
    if found and asked not in (None, found):
        raise InputError(
            f"the nodes of {cluster.name} are of the kind {found!r}: before another kind comes up, "
            f"`python -m lab down --only {cluster.name}`"
        )
    return asked or found or "namespaces"


def _families(lab: Lab, cluster: Cluster, kind: NodeKind, *, dual_stack: bool) -> str:
    """The address families that it is to have; the management cluster has one."""
    if cluster.fixed_network:
        return "ipv4"
    if dual_stack and kind == "vm":
        raise InputError(MACHINES_FAMILY)
    if dual_stack and not IPV6.exists():
        raise InputError(f"{IPV6} is not there: start the machine without `ipv6.disable=1`")
    found = lab.is_dual_stack(cluster) if cluster in lab.wanted() else None
    if dual_stack and found is False:
        raise InputError(
            f"{cluster.name} is up with IPv4 only: before it comes up with both families, "
            f"`python -m lab down --only {cluster.name}`"
        )
    return "ipv4 ipv6" if found or dual_stack else "ipv4"


def _up(lab: Lab, cluster: Cluster) -> None:
    _report(cluster, "started", control_plane.start(lab, cluster))
    nodes = [host for host in cluster.nodes if node.start(lab, cluster, host)]
    _report(cluster, "started", [host.name for host in nodes])
    _report(cluster, "API server ready, started", control_plane.finish(lab, cluster))
    _apply_dns(lab, cluster)
    # A virtual machine's disk was made with all images.
    for host in cluster.nodes if lab.kind_of_nodes(cluster) == "namespaces" else ():
        node.wait_containerd(lab, host)
        _complete_images(lab, host)
    if cluster.doors:
        management.apply(lab, cluster)
    for host in cluster.nodes:
        _wait_node(lab, cluster, host)
    if cluster.fixed_network:
        _wait_dns(lab, cluster)
    if cluster.doors:
        management.finish(lab, cluster)


def _report(cluster: Cluster, what: str, names: list[str]) -> None:
    if names:
        say(f"{cluster.name}: {what}: {', '.join(names)}")


def _complete_images(lab: Lab, host: Host) -> None:
    pid = node.init_pid(lab, host)
    if pid is not None:
        images.complete(pid)


def _apply_dns(lab: Lab, cluster: Cluster) -> None:
    text = Template((DATA / "coredns.yaml").read_text())
    values = {"dns_address": cluster.dns_address, "coredns_image": COREDNS_IMAGE}
    api.apply(lab, cluster, text.substitute(values))


def _wait_node(lab: Lab, cluster: Cluster, host: Host) -> None:
    """Wait until a node is in the cluster, and ready where that needs no network plugin."""

    def complaint() -> str | None:
        state = _state(lab, cluster, host)
        fine = ("Ready",) if cluster.fixed_network else ("Ready", api.NO_NETWORK)
        return None if state in fine else state

    pieces, what = (host.name, *cluster.control_plane), f"{host.name}: in the cluster"
    processes.wait_until(lab, pieces, complaint, what, REGISTER_TIMEOUT_S)
    say(f"{cluster.name}: {host.name}: {_state(lab, cluster, host)}")


def _state(lab: Lab, cluster: Cluster, host: Host) -> str:
    try:
        return api.node_states(lab, cluster).get(host.name, "has not registered")
    except TransientError as error:
        return str(error)


def _wait_dns(lab: Lab, cluster: Cluster) -> None:
    def complaint() -> str | None:
        return api.deployment_complaint(lab, cluster, "kube-system", "coredns")

    what = f"{cluster.name}: DNS available"
    pieces = (cluster.nodes[0].name, *cluster.control_plane)
    processes.wait_until(lab, pieces, complaint, what, READY_TIMEOUT_S)
    say(f"{cluster.name}: DNS available")
