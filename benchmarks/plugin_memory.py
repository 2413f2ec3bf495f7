"""Memory of a plugin's pods, read from the processes on the nodes by the node agents."""

from typing import Any

from steps.lib.models import Plugin
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.nodes import NODE_COUNT, linux, workers

PSS = """
for process in /proc/[0-9]*; do
    grep -qsE "$0" "$process/cgroup" && grep -s '^Pss:' "$process/smaps_rollup"
done | awk '{ total += $2 } END { print total + 0 }'
"""
"""KiB of all processes in control groups whose name is like ``$0``; shared memory is shared out."""


def plugin_memory_mib(api: Api, image: str, plugin: Plugin) -> float | None:
    """MiB per node of all pods of the plugin's workloads; None for one without workloads."""
    pods = _pods(api, (*plugin.ready.daemonsets, *plugin.ready.deployments))
    if not pods:
        return None
    # A kubelet that leaves control groups to systemd writes "_" for "-".
    pattern = "|".join(pod.metadata.uid.replace("-", "[-_]") for pod in pods)
    nodes = [node.metadata.name for node in workers(linux(api))[:NODE_COUNT]]
    agents = Agents(api, image, nodes)  # They are there: a block has begun.
    try:
        command = ["sh", "-c", PSS, pattern]
        told = agents.call_each("run", {node: {"command": command} for node in nodes})
    finally:
        agents.close()
    return sum(int(result["stdout"]) for result in told.values()) / len(nodes) / 1024


def _pods(api: Api, workloads: tuple[str, ...]) -> list[Any]:
    """Pods of DaemonSets and, by way of their ReplicaSets, of Deployments."""
    found = []
    for workload in workloads:
        namespace, _, name = workload.partition("/")
        for pod in api.call(api.core.list_namespaced_pod, namespace).items:
            owners = {owner.name for owner in pod.metadata.owner_references or []}
            if owners & {name} or any(o.rpartition("-")[0] == name for o in owners):
                found.append(pod)
    return found
