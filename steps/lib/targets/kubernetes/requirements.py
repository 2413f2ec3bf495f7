"""What a cluster must be to serve as a target; asked of the API server only, nothing is touched."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kubernetes import client

from steps.lib.errors import InputError, RefusedError, TransientError
from steps.lib.models import AddressFamily
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.evacuation import tireless
from steps.lib.targets.kubernetes.nodes import (
    NODE_COUNT,
    addresses_of,
    linux,
    pod_cidrs_of,
    service_cidrs,
    workers,
)

OLDEST = (1, 33)
"""Oldest Kubernetes that says its range of Services (networking.k8s.io/v1 ServiceCIDR)."""

RIGHTS = (
    ("", "nodes", "patch"),
    ("", "namespaces", "create"),
    ("", "pods", "create"),
    ("", "pods/exec", "create"),
    ("", "configmaps", "create"),
    ("apps", "daemonsets", "create"),
    ("apps", "daemonsets", "list"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "create"),
    ("coordination.k8s.io", "leases", "create"),
)
"""Group, resource and verb of some requests that only an administrator may make."""


NOTICED_TIMEOUT_S = 60.0
"""Kubelets tell the state of their node every ten seconds."""


def wait_without_network(api: Api) -> None:
    """Wait until nodes say that they have no network: else the next look finds a foreign one."""
    deadline = time.monotonic() + NOTICED_TIMEOUT_S
    while time.monotonic() < deadline and any(map(_is_ready, linux(api))):
        time.sleep(0.5)


def missing(
    api: Api, families: Sequence[AddressFamily] = ("ipv4",), *, installed_by_us: bool
) -> list[str]:
    """Everything that keeps the cluster from being measured, each with what to do about it.

    ``families`` are those of the addresses that it is said to have.

    Raises:
        TransientError: it does not answer, or a node of it; maybe it will.
    """
    try:
        nodes = linux(api)
        unable = [*_version(api), *_rights(api)]
        found = [*unable, *_nodes(nodes, installed_by_us)]
        # Whoever may not ask, or asks an older server, is not told of its ranges.
        found += () if unable else _families(api, nodes, families)
        if not found and not installed_by_us:
            found = [*_daemons(api)]
    except (InputError, RefusedError) as error:
        return [str(error)]
    if not found:
        _require_signs_of_life(nodes)
    return found


def _version(api: Api) -> Iterator[str]:
    found = api.call(client.VersionApi(api.client).get_code)
    digits = [int(re.sub(r"\D.*", "", text) or 0) for text in (found.major, found.minor)]
    if tuple(digits) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield f"the cluster is Kubernetes {found.git_version}; needed is {oldest} or later"


def _rights(api: Api) -> Iterator[str]:
    reviews = client.AuthorizationV1Api(api.client)
    lacking = []
    for group, resource, verb in RIGHTS:
        name, _, subresource = resource.partition("/")
        attributes = {"group": group, "resource": name, "verb": verb}
        if subresource:
            attributes["subresource"] = subresource
        body = {"spec": {"resourceAttributes": attributes}}
        review = api.call(reviews.create_self_subject_access_review, body)
        if not review.status.allowed:
            lacking.append(f"{verb} {resource}")
    if lacking:
        yield (
            f"the user of context {api.context} may not {', '.join(lacking)}; use a kubeconfig "
            "with the rights of a cluster administrator: nodes and their network are changed"
        )


def _nodes(nodes: Sequence[Any], installed_by_us: bool) -> Iterator[str]:
    able = workers(nodes)
    if len(able) < NODE_COUNT:
        names = ", ".join(n.metadata.name for n in able) or "none"
        yield f"the cluster has {len(able)} worker nodes ({names}); needed are {NODE_COUNT}"
        return
    for node in nodes:
        name = node.metadata.name
        # One that has just joined is given its network later.
        if "ipv4" not in pod_cidrs_of(node) and not _is_silent(node):
            yield (
                f"node {name} has no podCIDR of ipv4: start the controller manager with node CIDRs"
            )
        if _is_ready(node) and not installed_by_us:
            yield (
                f"node {name} has a pod network already, which cnibench did not install: remove "
                "that plugin first, or use a cluster made without one"
            )


def _families(api: Api, nodes: Sequence[Any], families: Sequence[AddressFamily]) -> Iterator[str]:
    """What a cluster lacks of the families that it is said to have, of which IPv4 is the first."""
    ranges = service_cidrs(api)
    if next(iter(ranges)) != "ipv4":
        yield f"Services are of {next(iter(ranges))} first; needed is a cluster whose are of ipv4"
    remedy = "leave it out of the campaign's `target.families`, or use a dual-stack cluster"
    for family in set(families) - {"ipv4"}:
        for node in (node for node in nodes if not _is_silent(node)):
            name = node.metadata.name
            if family not in addresses_of(node):
                yield f"node {name} has no InternalIP of {family}: {remedy}"
            if family not in pod_cidrs_of(node):
                yield f"node {name} has no podCIDR of {family}: {remedy}"
        if family not in ranges:
            yield f"Services have no addresses of {family}: {remedy}"


def _require_signs_of_life(nodes: Sequence[Any]) -> None:
    """Raise TransientError for nodes whose kubelets are silent: they may be just starting."""
    silent = [f"node {n.metadata.name} does not report: {_said(n)}" for n in nodes if _is_silent(n)]
    if silent:
        raise TransientError("; ".join(silent))


def _said(node: Any) -> str:
    ready = _readiness(node)
    return ready.message if ready else "no status"


def _daemons(api: Api) -> Iterator[str]:
    """Nodes are emptied of pods before their network is taken away."""
    for daemon_set in tireless(api):
        metadata = daemon_set.metadata
        yield (
            f"DaemonSet {metadata.namespace}/{metadata.name} keeps nodes from being emptied: its "
            "pods need the pod network and tolerate every taint; delete it, or let it select no "
            "node (spec.template.spec.nodeSelector) until the campaign has ended"
        )


def _readiness(node: Any) -> Any | None:
    return next((c for c in node.status.conditions or [] if c.type == "Ready"), None)


def _is_silent(node: Any) -> bool:
    """A kubelet whose node has no network yet does report: that it is not ready."""
    ready = _readiness(node)
    return ready is None or ready.status == "Unknown"


def _is_ready(node: Any) -> bool:
    ready = _readiness(node)
    return ready is not None and ready.status == "True"
