"""Memory of a plugin's pods, read from the processes on the nodes by the node agents."""

from collections.abc import Collection, Sequence
from typing import Any

from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api


def plugin_memory_bytes(
    api: Api, agents: Agents, nodes: Sequence[str], workloads: Collection[str]
) -> int:
    """Memory on a node, mean of some nodes, of all pods of some workloads; 0 if there are none.

    Args:
        api: The cluster.
        agents: On the nodes.
        nodes: Names of nodes.
        workloads: DaemonSets, Deployments and the like, ``<namespace>/<name>``.
    """
    pods = _pods(api, workloads)
    if not pods:
        return 0
    asked = {"pods": [pod.metadata.uid for pod in pods]}
    told = agents.call_each("memory_bytes", dict.fromkeys(nodes, asked))
    return round(sum(int(each) for each in told.values()) / len(nodes))


def _pods(api: Api, workloads: Collection[str]) -> list[Any]:
    """Pods of DaemonSets and, by way of their ReplicaSets, of Deployments."""
    found = []
    for workload in sorted(workloads):
        namespace, _, name = workload.partition("/")
        for pod in api.call(api.core.list_namespaced_pod, namespace).items:
            owners = {owner.name for owner in pod.metadata.owner_references or []}
            if owners & {name} or any(o.rpartition("-")[0] == name for o in owners):
                found.append(pod)
    return found
