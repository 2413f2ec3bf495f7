"""What the agents read, put together: CPU of all nodes, of our groups of pods, of strangers."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from steps.lib.targets.kubernetes.agent.places import NODE_ROOT
from steps.lib.targets.kubernetes.agents import Answer
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.observations import Counters, CpuTimes, DeviceCounters, Instant
from steps.lib.targets.proc import Modes

SYSTEM_NAMESPACES = frozenset({NAMESPACE, "kube-system", "kube-public", "kube-node-lease"})

_STATIC_POD = "kubernetes.io/config.hash"
"""Static pods have another identifier on their node than in the API server; this one."""


class Strangers:
    """Tells pods that are nobody's business but use the CPUs that are measured.

    Known are ours, the cluster's own, and those in the namespaces of the installed plugin. Pods are
    asked for only when one turns up that was not seen before.
    """

    def __init__(self, api: Api, plugin_namespaces: Callable[[], Collection[str]]) -> None:
        self._api, self._plugin_namespaces = api, plugin_namespaces
        self._pods: dict[str, tuple[str, str]] = {}
        """Namespace and name of each pod that was seen, by its identifier."""

    def among(self, pods: Collection[str]) -> dict[str, str]:
        """Those of some pods, by identifiers without dashes, that are strangers; what each is."""
        known = SYSTEM_NAMESPACES.union(self._plugin_namespaces())
        return {
            pod: f"{namespace}/{name} ({pod})".lstrip("/")
            for pod, (namespace, name) in self.named(pods).items()
            if namespace not in known
        }

    def named(self, pods: Collection[str]) -> dict[str, tuple[str, str]]:
        """Namespace and name of some pods; no namespace where the API server has forgotten one.

        Such a pod is still ending: nobody's, but not idle.
        """
        if not self._pods.keys() >= set(pods):
            self._look()
        return {pod: self._pods.get(pod, ("", "a pod")) for pod in pods}

    def _look(self) -> None:
        for pod in self._api.call(self._api.core.list_pod_for_all_namespaces).items:
            annotations = pod.metadata.annotations or {}
            for identifier in (pod.metadata.uid, annotations.get(_STATIC_POD)):
                if identifier:
                    named = (pod.metadata.namespace, pod.metadata.name)
                    self._pods[identifier.replace("-", "")] = named


def counters(told: Mapping[str, Any]) -> Counters:
    """Counters of one place."""
    devices = {name: DeviceCounters(*numbers) for name, numbers in told["devices"].items()}
    return Counters(devices, told["stack"], told["offloads"])


def cpu_times(
    answers: Mapping[str, Answer],
    groups: Mapping[str, Collection[str]],
    strangers: Strangers,
    plugin_pods: Callable[[Collection[str]], Collection[str]],
) -> CpuTimes:
    """CPU of all nodes together.

    Nodes of one kernel all tell that kernel's times: those of the first of them count. Each of them
    may see the groups of all pods or only of its own: a pod counts once too.

    Args:
        answers: To the call ``reading``, by node.
        groups: Identifiers of the containers of each group.
        strangers: Who tells strangers' pods.
        plugin_pods: Which of some pods, by identifiers without dashes, are the plugin's.
    """
    told = {node: answer.result["cpu"] for node, answer in answers.items()}
    first = {told[node]["boot_id"]: node for node in reversed(told)}
    kernels = {node: told[node] for node in told if node in first.values()}
    pods, containers = _latest(told, "pods"), _latest(told, "containers")
    cycles = {node: reading["cycles"] for node, reading in kernels.items()}
    return CpuTimes(
        instants={node: _instant(answer) for node, answer in answers.items()},
        modes={
            node: Modes(*(reading[mode] for mode in Modes._fields))
            for node, reading in kernels.items()
        },
        foreign={name: pods[pod] for pod, name in strangers.among(pods).items()},
        groups={
            name: sum(containers.get(each, 0.0) for each in members)
            for name, members in groups.items()
        },
        plugin={pod: pods[pod] for pod in plugin_pods(pods)},
        cycles={} if None in cycles.values() else cycles,
        throttled={
            f"{node}:{group.removeprefix(NODE_ROOT)}": count
            for node, reading in told.items()
            for group, count in reading["throttled"].items()
        },
    )


def _instant(answer: Answer) -> Instant:
    told = answer.result["cpu"]
    return Instant(told["at_s"], told["boot_id"], told["cpus"], answer.generation, told["clock_s"])


def _latest(told: Mapping[str, Mapping[str, Any]], kind: str) -> dict[str, float]:
    """CPU seconds of things that several nodes may see, a moment one after the other."""
    found: dict[str, float] = {}
    for reading in told.values():
        for name, used_s in reading[kind].items():
            found[name] = max(used_s, found.get(name, 0.0))
    return found
