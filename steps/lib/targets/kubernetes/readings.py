"""What the agents read, put together: CPU of all nodes, of our groups of pods, of strangers."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.protocol import Counters, CpuTimes, DeviceCounters

SYSTEM_NAMESPACES = frozenset({NAMESPACE, "kube-system", "kube-public", "kube-node-lease"})

_MODES = ("user_s", "system_s", "idle_s", "iowait_s", "irq_s", "softirq_s", "steal_s")
_STATIC_POD = "kubernetes.io/config.hash"
"""Static pods have another identifier on their node than in the API server; this one."""


class Strangers:
    """Tells pods that are nobody's business but use the CPUs that are measured.

    Known are ours, the cluster's own, and those in the namespaces of the installed plugin. Pods are
    asked for only when one turns up that was not seen before.
    """

    def __init__(self, api: Api, plugin_namespaces: Callable[[], Collection[str]]) -> None:
        self._api, self._plugin_namespaces = api, plugin_namespaces
        self._namespaces: dict[str, str] = {}

    def among(self, pods: Collection[str]) -> set[str]:
        """Those of some pods, by identifiers without dashes, that are strangers."""
        if not self._namespaces.keys() >= set(pods):
            self._look()
        known = SYSTEM_NAMESPACES.union(self._plugin_namespaces())
        return {pod for pod in pods if self._namespaces.get(pod) not in known}

    def _look(self) -> None:
        for pod in self._api.call(self._api.core.list_pod_for_all_namespaces).items:
            annotations = pod.metadata.annotations or {}
            for identifier in (pod.metadata.uid, annotations.get(_STATIC_POD)):
                if identifier:
                    self._namespaces[identifier.replace("-", "")] = pod.metadata.namespace


def counters(told: Mapping[str, Any]) -> Counters:
    """Counters of one place."""
    devices = {name: DeviceCounters(*numbers) for name, numbers in told["devices"].items()}
    return Counters(devices, told["stack"])


def cpu_times(
    agents: Agents,
    told: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Collection[str]],
    strangers: Strangers,
) -> CpuTimes:
    """CPU of all nodes together.

    Nodes of one kernel all tell that kernel's times, which are counted once. Each of them may see
    the groups of all pods or only of its own: a pod counts once too.

    Args:
        agents: Who told it.
        told: By node.
        groups: Identifiers of the containers of each group.
        strangers: Who tells strangers' pods.
    """
    kernels = {reading["boot_id"]: reading for reading in told.values()}.values()
    pods, containers = _latest(told, "pods"), _latest(told, "containers")
    foreign = strangers.among(pods)
    cycles = [reading["cycles"] for reading in kernels]
    # An agent that was started anew counts cycles from zero again.
    whole = None not in cycles and not any(map(agents.was_interrupted, told))
    return CpuTimes(
        at_s=next(iter(kernels))["at_s"],
        cpus=sum(reading["cpus"] for reading in kernels),
        **{mode: sum(reading[mode] for reading in kernels) for mode in _MODES},
        foreign_s=sum(used_s for pod, used_s in pods.items() if pod in foreign),
        groups={
            name: sum(containers.get(each, 0.0) for each in members)
            for name, members in groups.items()
        },
        cycles=sum(cycles) if whole else None,
    )


def _latest(told: Mapping[str, Mapping[str, Any]], kind: str) -> dict[str, float]:
    """CPU seconds of things that several nodes may see, a moment one after the other."""
    found: dict[str, float] = {}
    for reading in told.values():
        for name, used_s in reading[kind].items():
            found[name] = max(used_s, found.get(name, 0.0))
    return found
