"""The cluster's DNS: started with the pod network, and asked as programs in pods ask it."""

import logging
from typing import Any

from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.pods import explained

SERVICE = "kube-dns"
NAMESPACE = "kube-system"
WELL_KNOWN = ("kubernetes", "default")
"""The API server's own Service, which every cluster has, and its namespace."""

ASK_TIMEOUT_S = 5
"""The resolver's own for one question (resolv.conf(5), ``timeout``)."""

logger = logging.getLogger(__name__)


def start_anew(api: Api) -> None:
    """Replace the DNS's pods that a node could not start yet; to be called when it can.

    Nodes take pods as soon as a plugin's first file is there, before it can attach them. A kubelet
    tries each again after 10 to 15 s, whatever has changed: a cluster has no names for so long, and
    longer if it was too early again, although its network works.
    """
    service = api.get(api.core.read_namespaced_service, SERVICE, NAMESPACE)
    for pod in _pods(api, service):
        made_again = bool(pod.metadata.owner_references)
        if made_again and pod.spec.node_name and _is_waiting(pod):
            logger.info("pod=%s could not start before the network worked", pod.metadata.name)
            api.get(api.core.delete_namespaced_pod, pod.metadata.name, NAMESPACE)


def problem(api: Api, agents: Agents, node: str, container: str) -> str | None:
    """Why a pod cannot look up the API server's name; None if it can.

    Args:
        api: The cluster.
        agents: Of its nodes.
        node: Name of the pod's node.
        container: Identifier of the pod's container.
    """
    service = api.get(api.core.read_namespaced_service, SERVICE, NAMESPACE)
    if service is None:
        return f"the cluster has no Service {SERVICE}.{NAMESPACE}"
    serving = _pods(api, service)
    if service.spec.selector and not any(map(_is_ready, serving)):
        said = "".join(explained(api, pod) for pod in serving)
        return f"no pod of Service {SERVICE}.{NAMESPACE} is ready{said}"
    wanted = api.call(api.core.read_namespaced_service, *WELL_KNOWN).spec.cluster_ip
    name = ".".join((*WELL_KNOWN, "svc"))
    command = ["timeout", str(ASK_TIMEOUT_S), "getent", "ahostsv4", name]
    told = agents.call(node, "run_in_container", container=container, command=command)
    found = told["stdout"].split()
    if wanted in found:
        return None
    said = told["stderr"].strip() or f"status {told['exit_code']}"
    return f"{name} gives {found[0] if found else 'nothing'}, not {wanted} ({said})"


def _pods(api: Api, service: Any) -> list[Any]:
    """Those behind the DNS's Service; none if it is of another kind, as one on each node is."""
    if service is None or not service.spec.selector:
        return []
    selector = ",".join(f"{k}={v}" for k, v in service.spec.selector.items())
    return list(api.call(api.core.list_namespaced_pod, NAMESPACE, label_selector=selector).items)


def _is_waiting(pod: Any) -> bool:
    return pod.status.phase == "Pending" and pod.metadata.deletion_timestamp is None


def _is_ready(pod: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
