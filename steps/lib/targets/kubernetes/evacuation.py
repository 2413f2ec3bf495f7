"""Emptying nodes of pods before their network goes: without it, they could not be ended any more.

A pod's end needs the CNI plugin that made its network; when that is gone the pod hangs in
``Terminating``. So nodes are first closed for new pods, by a taint of our own (an administrator's
cordon stays what it is), and then emptied.
"""

import http.client
import time
from collections.abc import Callable, Sequence
from typing import Any

from kubernetes.client import V1Taint

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.api import AnswerError, Api
from steps.lib.targets.kubernetes.readiness import pod_says

TAINT = "cnibench.io/no-network"
GRACE_S = 5
GONE_TIMEOUT_S = 120.0
POLL_S = 0.5
CONFLICTS_MAX = 10


def close(api: Api, nodes: Sequence[str]) -> None:
    """Keep new pods off the nodes. Idempotent."""
    for node in nodes:
        _set_taint(api, node, closed=True)


def open_again(api: Api, nodes: Sequence[str]) -> None:
    """Undo ``close``. Idempotent."""
    for node in nodes:
        _set_taint(api, node, closed=False)


def tireless(api: Api) -> list[Any]:
    """DaemonSets whose pods have a network of their own, and come back to a closed node at once."""
    found = api.call(api.apps.list_daemon_set_for_all_namespaces).items
    return [d for d in found if _is_tireless(d.spec.template.spec)]


def _is_tireless(pod_spec: Any) -> bool:
    return not pod_spec.host_network and any(map(_covers, pod_spec.tolerations or []))


def _covers(toleration: Any) -> bool:
    """Whether pods with this toleration are put on nodes that ``close`` has closed."""
    keys = (None, "", TAINT) if toleration.operator == "Exists" else (TAINT,)
    return toleration.key in keys and toleration.effect in (None, "", "NoSchedule")


def empty(api: Api, nodes: Sequence[str]) -> None:
    """End every pod that has a network of its own, and wait until it is gone.

    Raises:
        RefusedError: a pod is still there when the time is over.
    """
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while pods := _networked_pods(api, nodes):
        for metadata in (p.metadata for p in pods if p.metadata.deletion_timestamp is None):
            api.get(
                api.core.delete_namespaced_pod,
                metadata.name,
                metadata.namespace,
                grace_period_seconds=GRACE_S,
            )
        if time.monotonic() > deadline:
            said = "".join(f"\n  {line}" for pod in pods for line in pod_says(api, pod))
            names = ", ".join(f"{p.metadata.namespace}/{p.metadata.name}" for p in pods)
            raise RefusedError(f"pods not gone in {GONE_TIMEOUT_S:.0f} s: {names}{said}")
        time.sleep(POLL_S)


def _networked_pods(api: Api, nodes: Sequence[str]) -> list[Any]:
    """Those that have, or may still get, a network; one that has ended has none any more."""
    pods = api.call(api.core.list_pod_for_all_namespaces).items
    return [
        p
        for p in pods
        if p.spec.node_name in nodes
        and not p.spec.host_network
        and p.status.phase not in ("Succeeded", "Failed")
    ]


def _set_taint(api: Api, name: str, *, closed: bool) -> None:
    def wanted(taints: list[V1Taint]) -> list[V1Taint]:
        others = [t for t in taints if t.key != TAINT]
        return [*others, V1Taint(key=TAINT, effect="NoSchedule")] if closed else others

    change_taints(api, name, wanted)


def change_taints(api: Api, name: str, wanted: Callable[[list[V1Taint]], list[V1Taint]]) -> None:
    """Give a node other taints; when somebody changed the node meanwhile, from what it is then.

    Raises:
        AnswerError: it is changed all the time, or the API server refuses the taints.
    """
    for tries_left in reversed(range(CONFLICTS_MAX)):
        node = api.call(api.core.read_node, name)
        present = node.spec.taints or []
        taints = wanted(present)
        if taints == present:
            return
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": taints},
        }
        try:
            # A merge patch (RFC 7396) replaces lists; what the client takes by itself varies.
            kind = "application/merge-patch+json"
            api.call(api.core.patch_node, name, body, _content_type=kind)
            return
        except AnswerError as error:
            if error.status != http.client.CONFLICT or not tries_left:
                raise
