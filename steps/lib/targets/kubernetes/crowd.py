"""Pods that are started at once, and timed until each answers."""

import errno
import os
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
from steps.lib.targets.protocol import Node

NAME = "crowd"
SELECTOR = f"{NAME_LABEL}={NAME}"

CLOSED_PORT = 9
"""Nobody listens there: that it is refused is the answer."""

REFUSED = os.strerror(errno.ECONNREFUSED)

ANSWER_TIMEOUT_S = 60.0
TRIAL_TIMEOUT_S = 0.05
POLL_S = 0.05
THREADS = 8


@dataclass(frozen=True)
class Crowd:
    """Idle pods of an image, on the nodes in turn. All of them are looked at by one question."""

    api: Api
    agents: Agents
    nodes: Sequence[Node]
    image: str

    @contextmanager
    def started(self, count: int) -> Iterator[tuple[float, ...]]:
        """Start so many; yields when all answer another node, with each one's time in ms.

        Raises:
            RefusedError: one did not answer in time, with what is said of it.
        """
        names = [f"cnibench-{NAME}-{number}" for number in range(count)]
        with afterwards(lambda: pods.delete(self.api, *names), "the crowd is not gone"):
            begun_s = time.monotonic()
            with ThreadPoolExecutor(THREADS) as pool:
                for _ in pool.map(self._create, range(count), names):
                    pass
            yield tuple((at_s - begun_s) * 1e3 for at_s in self._answered_s(set(names)))

    def _create(self, number: int, name: str) -> None:
        node = self.nodes[number % len(self.nodes)]
        pods.create(self.api, idle(name, NAME, node, self.image))

    def _answered_s(self, waiting: set[str]) -> Iterator[float]:
        """When each of the pods answered."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S * self.api.patience
        while waiting:
            for pod in self._listed():
                if pod.metadata.name in waiting and pods.is_started(pod) and self._answers(pod):
                    waiting.remove(pod.metadata.name)
                    yield time.monotonic()
            if waiting and time.monotonic() > deadline:
                name = min(waiting)
                pod = pods.read(self.api, name)
                said = pods.explained(self.api, pod) if pod is not None else ": it was deleted"
                raise RefusedError(f"{len(waiting)} pods do not answer, such as {name}{said}")
            time.sleep(POLL_S)

    def _listed(self) -> list[pods.Pod]:
        core = self.api.core
        listed = self.api.call(core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR)
        return list(listed.items)

    def _answers(self, pod: pods.Pod) -> bool:
        other = next(node for node in self.nodes if node.name != pod.spec.node_name)
        where = {"address": pods.address(pod, "ipv4"), "port": CLOSED_PORT}
        said = self.agents.call(other.name, "connect", timeout_s=TRIAL_TIMEOUT_S, **where)
        return bool(said == REFUSED)
