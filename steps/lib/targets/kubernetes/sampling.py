"""Samples of the CPUs of a cluster's nodes, each with the word whose thread it was."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent.sampling import KERNEL, NO_POD
from steps.lib.targets.kubernetes.agents import NAME_PREFIX as AGENT_PREFIX
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE
from steps.lib.targets.kubernetes.readings import SYSTEM_NAMESPACES
from steps.lib.targets.observations import CpuTimes, NotSampled, Owner, Sampled, Sampling, Stack

Names = Callable[[Collection[str]], Mapping[str, tuple[str, str]]]
"""Gives namespaces and names of pods by their identifiers without dashes."""


@dataclass(frozen=True)
class Owners:
    """Tells whose pods are.

    Attributes:
        named: Looks pods up.
        namespaces: Those of the plugin. What shares one with the cluster's own pods is the plugin's
            only by its workload.
        workloads: Those of the plugin, ``<namespace>/<name>``.
    """

    named: Names
    namespaces: Collection[str]
    workloads: Collection[str]

    def of(self, pods: Collection[str]) -> dict[str, Owner]:
        """Whose each pod is."""
        return {pod: self._owner(*place) for pod, place in self.named(pods).items()}

    def _owner(self, namespace: str, name: str) -> Owner:
        if namespace == NAMESPACE:
            return "cnibench" if name.startswith(AGENT_PREFIX) else "tool"
        if any(f"{namespace}/{name}".startswith(f"{workload}-") for workload in self.workloads):
            return "plugin"
        if namespace in SYSTEM_NAMESPACES:
            return "system"
        return "plugin" if namespace in self.namespaces else "foreign"


@contextmanager
def sampling(
    agents: Agents, nodes: Sequence[str], owners: Owners, frequency_hz: int
) -> Iterator[Sampling]:
    """Sample some nodes until the end of the block; not at all if the frequency is 0."""
    if frequency_hz == 0:
        yield NotSampled("sampling is off: the matrix says cpu_sampling_hz 0")
        return
    with afterwards(lambda: _end(agents, nodes), "sampling of CPUs was not ended"):
        yield _begun(agents, nodes, owners, frequency_hz)


def _begun(agents: Agents, nodes: Sequence[str], owners: Owners, frequency_hz: int) -> Sampling:
    try:
        agents.call_each("start_sampling", {n: {"frequency_hz": frequency_hz} for n in nodes})
    except RefusedError as error:
        return NotSampled(str(error))
    return NodesSampling(agents, owners)


def _end(agents: Agents, nodes: Sequence[str]) -> None:
    agents.call_each("stop_sampling", {node: {} for node in nodes})


@dataclass(frozen=True)
class NodesSampling:
    """The samples of several nodes, of each kernel once (``observations.Sampling``)."""

    agents: Agents
    owners: Owners

    def between(self, first: CpuTimes, last: CpuTimes) -> Sampled:
        """What was seen on each node between its two readings."""
        windows = {
            node: {"first_s": instant.at_s, "last_s": last.instants[node].at_s}
            for node, instant in first.kernels.items()
        }
        try:
            told = self.agents.call_each("samples", windows)
        except RefusedError as error:
            return Sampled(reason=str(error))
        stacks: Counter[Stack] = Counter()
        for answer in told.values():
            self._add(answer, stacks)
        return Sampled(stacks)

    def _add(self, answer: dict[str, Any], stacks: "Counter[Stack]") -> None:
        names = answer["names"]
        pods = {owner for owner, _, _ in answer["stacks"]} - {KERNEL, NO_POD}
        owners: dict[str, Owner] = {KERNEL: "kernel", NO_POD: "system", **self.owners.of(pods)}
        for owner, frames, times in answer["stacks"]:
            stacks[Stack(owners[owner], tuple(names[i] for i in frames))] += times
