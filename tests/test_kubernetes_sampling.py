"""What agents sample on nodes is put together, and each pod's work is told by whose the pod is."""

import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from steps.lib.components import classifier
from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.sampling import NodesSampling, Owners, sampling
from steps.lib.targets.namespaces import cgroups
from steps.lib.targets.namespaces.programs import DIE_WITH_PARENT
from steps.lib.targets.observations import CpuTimes, Instant, Sampled
from steps.lib.targets.proc import Modes
from tests.agent_nodes import AgentNode, agent_node

pytestmark = pytest.mark.namespaces

HZ = 199
BUSY = "while :; do :; done"
NAMED = {
    "a": ("cnibench", "cnibench-client"),
    "b": ("cnibench", "cnibench-agent-n1"),
    "c": ("kube-system", "network-x7k2p"),
    "d": ("kube-system", "dns-5d9-abcde"),
    "e": ("network-operator", "operator-0"),
    "f": ("default", "shop-0"),
    "g": ("", "a pod"),
}


def named(pods: Collection[str]) -> dict[str, tuple[str, str]]:
    return {pod: NAMED[pod] for pod in pods}


OWNERS = Owners(named, {"network-operator", "kube-system"}, {"kube-system/network"})


@dataclass
class OneAgent:
    """The part of ``Agents`` that sampling uses, over one real agent."""

    node: AgentNode
    asked: list[str] = field(default_factory=list)

    def call_each(self, call: str, arguments: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        self.asked.append(call)
        answers = {name: self.node.answer(call, **each) for name, each in arguments.items()}
        for answer in answers.values():
            if "error" in answer:
                raise RefusedError(answer["error"]["message"])
        return {name: answer["result"] for name, answer in answers.items()}


def times(*at_s: float) -> list[CpuTimes]:
    modes = {"n1": Modes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)}
    return [CpuTimes({"n1": Instant(at, "kernel", 2)}, modes, foreign={}) for at in at_s]


@contextmanager
def busy_pod(node: AgentNode) -> Iterator[str]:
    """A process of the node in a control group as pods have them; the pod's identifier."""
    pod = uuid.uuid4().hex
    groups = cgroups.Groups(f"cnibench-test-{uuid.uuid4().hex[:8]}")
    joining = ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(groups.entry(f"pod{pod}"))]
    command = [*DIE_WITH_PARENT, *joining, *node.entering, "sh", "-c", BUSY]
    with subprocess.Popen(command) as process:
        try:
            yield pod
        finally:
            process.kill()
            cgroups.kill_all(groups.processes)
            groups.remove()


def test_pods_are_known_by_namespace_and_workload() -> None:
    assert OWNERS.of(NAMED) == {
        "a": "tool",
        "b": "cnibench",
        "c": "plugin",
        "d": "system",
        "e": "plugin",
        "f": "foreign",
        "g": "foreign",
    }


def test_an_agents_samples_are_those_of_the_window_by_the_owner_of_the_pod() -> None:
    with agent_node() as node, busy_pod(node) as pod:
        agents = OneAgent(node)
        place = ("network-operator", "operator-0")
        owners = Owners(lambda pods: dict.fromkeys(pods, place), {"network-operator"}, ())
        with sampling(cast(Agents, agents), ["n1"], owners, HZ) as sampled:
            time.sleep(0.2)
            started = time.monotonic()
            time.sleep(1)
            ended = time.monotonic()
            first, last = times(started, ended)
            found = sampled.between(first, last)
            told = node.call("samples", first_s=started, last_s=ended)
        outside = node.error("samples", first_s=started, last_s=ended)
    assert found.reason is None
    assert pod in {owner for owner, _, _ in told["stacks"]}
    owned = Counter[str]()
    for stack, number in found.stacks.items():
        owned[stack.owner] += number
    assert 0.3 * HZ < owned["plugin"] <= 1.1 * HZ, owned
    assert classifier().count(found.stacks)["plugin"] > 0.3 * HZ
    assert agents.asked == ["start_sampling", "samples", "stop_sampling"]
    assert outside.startswith("RefusedError: CPUs were not sampled all the time")


def test_memory_of_a_plugins_pods_is_that_of_their_processes() -> None:
    with agent_node() as node, busy_pod(node) as pod:

        def kib(*pods: str) -> float:
            return int(node.call("memory_bytes", pods=pods)) / 1024

        deadline = time.monotonic() + 5
        while not (found := kib(pod)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert 50 < found < 10_000, "a shell"
        with_dashes = str(uuid.UUID(pod))
        assert 50 < kib(with_dashes, str(uuid.uuid4())) < 10_000
        assert kib(str(uuid.uuid4())) == kib() == 0


def test_why_a_cluster_is_not_sampled_is_the_answer() -> None:
    first, last = times(0.0, 1.0)
    with agent_node() as node:
        agents = OneAgent(node)
        with sampling(cast(Agents, agents), ["n1"], OWNERS, 0) as off:
            assert off.between(first, last) == Sampled(
                reason="sampling is off: the matrix says cpu_sampling_hz 0"
            )
        assert agents.asked == []
        found = NodesSampling(cast(Agents, agents), OWNERS).between(first, last)
    assert found.stacks == {}
    assert found.reason == ("CPUs were not sampled all the time: the node's agent was started anew")
