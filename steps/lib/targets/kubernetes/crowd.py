"""Pods that are started at once, and timed until each answers."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from steps.lib.afterwards import afterwards
from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.endpoint_pods import NAME_LABEL, idle
from steps.lib.targets.protocol import CLOSED_PORT, Node

NAME = "crowd"
SELECTOR = f"{NAME_LABEL}={NAME}"

TIMEOUT_EACH_S = 2.0
"""What each pod more may need to start, or to end, on the slowest of nodes."""

TRIAL_TIMEOUT_S = 0.05
POLL_S = 0.05
THREADS = 8


@dataclass(frozen=True)
class Crowd:
    """Idle pods of an image, on the nodes in turn. All of a node's are asked at once."""

    api: Api
    agents: Agents
    nodes: Sequence[Node]
    image: str

    @contextmanager
    def started(self, count: int) -> Iterator[tuple[float, ...]]:
        """Start so many; yields when all answer another node, with each one's time in ms.

        Raises:
            RefusedError: one never starts, or does not answer in time, with what is said of it.
        """
        names = [f"cnibench-{NAME}-{number}" for number in range(count)]
        more_s = count * TIMEOUT_EACH_S

        def end() -> None:
            pods.delete(self.api, *names, timeout_s=pods.GONE_TIMEOUT_S + more_s)

        with afterwards(end, "the crowd is not gone"):
            begun_s = time.monotonic()
            with ThreadPoolExecutor(THREADS) as pool:
                for _ in pool.map(self._create, range(count), names):
                    pass
            answered = self._answered_s(set(names), pods.START_TIMEOUT_S + more_s)
            yield tuple((at_s - begun_s) * 1e3 for at_s in answered)

    def _create(self, number: int, name: str) -> None:
        node = self.nodes[number % len(self.nodes)]
        pods.create(self.api, idle(name, NAME, node, self.image))

    def _answered_s(self, waiting: set[str], timeout_s: float) -> Iterator[float]:
        """When each of the pods was seen to answer."""
        deadline = time.monotonic() + timeout_s * self.api.patience
        while True:
            present = {pod.metadata.name: pod for pod in self._listed()}
            for name in self._answering([p for n, p in present.items() if n in waiting]):
                waiting.remove(name)
                yield time.monotonic()
            if not waiting:
                return
            pod = present.get(min(waiting))
            hopeless = pods.hopeless(pod) if pod is not None else "it was deleted"
            if hopeless or time.monotonic() > deadline:
                said = pods.explained(self.api, pod) if pod is not None else ""
                why = hopeless or f"not in {timeout_s:g} s"
                raise RefusedError(f"pod {min(waiting)} does not answer ({why}){said}")
            time.sleep(POLL_S)

    def _listed(self) -> list[pods.Pod]:
        core = self.api.core
        listed = self.api.call(core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR)
        return list(listed.items)

    def _answering(self, some: Sequence[pods.Pod]) -> list[str]:
        """Names of those that run and answer another node than their own."""
        started = {pods.address(pod, "ipv4"): pod for pod in some if pods.is_started(pod)}
        timeout_s = TRIAL_TIMEOUT_S * self.api.patience
        asked = {
            node.name: {
                "addresses": [a for a, pod in started.items() if pod.spec.node_name == peer.name],
                "port": CLOSED_PORT,
                "timeout_s": timeout_s,
            }
            for node, peer in zip(self.nodes, reversed(self.nodes), strict=True)
        }
        told = self.agents.call_each("refusing", asked)
        return [started[address].metadata.name for found in told.values() for address in found]
