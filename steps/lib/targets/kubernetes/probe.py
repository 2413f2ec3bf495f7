"""Proof that a pod network carries traffic at all, before anything is measured on it.

A plugin that says "ready" may still carry nothing between nodes. Real pods are made, and real
connections, by the ways that people use: pod to pod, a Service, a name, a node to its pods.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.errors import RefusedError
from steps.lib.models import TargetSpec
from steps.lib.targets.kubernetes import cluster_dns, objects, pods
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.endpoint_pods import LABELS, NAME_LABEL, idle
from steps.lib.targets.protocol import Node

PORT = 30522
TIMEOUT_S = 60.0
"""For all ways together: the last steps of a plugin may come after it says that it is ready."""

CONNECT_TIMEOUT_S = 1.0
POLL_S = 0.25
SERVICE = "cnibench-probe"

Check = Callable[[], str | None]
"""Tries a way once; the reason if it does not work."""


@dataclass(frozen=True)
class _Pod:
    node: Node
    address: str
    container: str


def prove(api: Api, agents: Agents, nodes: Sequence[Node], spec: TargetSpec) -> None:
    """Prove each way; not for plugins without a pod network.

    Raises:
        RefusedError: some do not work in time; the message names each with its last reason.
    """
    cluster_dns.start_anew(api)
    places = {"near": nodes[0], "next": nodes[0], "far": nodes[1]}
    with (
        _pods(api, agents, spec, places) as made,
        _listening(agents, made["next"]),
        _listening(agents, made["far"]),
    ):
        checks = _checks(api, agents, nodes, made, _service_address(api))
        _wait_all(checks, TIMEOUT_S * api.patience)


def _checks(
    api: Api, agents: Agents, nodes: Sequence[Node], made: dict[str, _Pod], service: str
) -> dict[str, Check]:
    near, beside, far = made["near"], made["next"], made["far"]
    checks: dict[str, Check] = {
        "pod to pod on the same node": lambda: _connect(agents, near.node, beside.address, near),
        "pod to pod on another node": lambda: _connect(agents, near.node, far.address, near),
        "pod to a Service": lambda: _connect(agents, near.node, service, near),
        "a name of the cluster's DNS": lambda: cluster_dns.problem(
            api, agents, near.node.name, near.container
        ),
    }
    for node in nodes:
        for pod in (beside, far):
            title = f"node {node.name} to a pod on {pod.node.name}"
            checks[title] = lambda node=node, pod=pod: _connect(agents, node, pod.address)  # type: ignore[misc]
    return checks


def _wait_all(checks: dict[str, Check], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    waiting = dict(checks)
    while True:
        problems = {title: problem for title, check in waiting.items() if (problem := check())}
        if not problems:
            return
        if time.monotonic() > deadline:
            said = "; ".join(f"{title}: {problem}" for title, problem in problems.items())
            raise RefusedError(f"the pod network does not work after {timeout_s:g} s: {said}")
        waiting = {title: checks[title] for title in problems}
        time.sleep(POLL_S)


def _connect(agents: Agents, node: Node, address: str, pod: _Pod | None = None) -> str | None:
    container = pod.container if pod else None
    where = {"address": address, "port": PORT, "container": container}
    told: str | None = agents.call(node.name, "connect", timeout_s=CONNECT_TIMEOUT_S, **where)
    return None if told is None else f"{address} port {PORT}: {told}"


@contextmanager
def _listening(agents: Agents, pod: _Pod) -> Iterator[None]:
    """Let the kernel answer in a pod, so that nothing has to run there."""
    number = agents.call(pod.node.name, "open_ports", ports=[PORT], container=pod.container)

    def close() -> None:
        agents.call(pod.node.name, "close_ports", number=number)

    with afterwards(close, f"node={pod.node.name} the probe's port was not closed"):
        yield


@contextmanager
def _pods(
    api: Api, agents: Agents, spec: TargetSpec, places: dict[str, Node]
) -> Iterator[dict[str, _Pod]]:
    """Pods that do nothing, and a Service for the far one."""
    names = {role: f"cnibench-probe-{role}" for role in places}

    def delete_service() -> None:
        api.get(api.core.delete_namespaced_service, SERVICE, NAMESPACE)

    with (
        afterwards(lambda: pods.delete(api, *names.values()), "the probe's pods are not gone"),
        afterwards(delete_service, "the probe's Service is not gone"),
    ):
        for role, node in places.items():
            pods.create(api, idle(names[role], f"probe-{role}", node, spec.toolbox_image))
        objects.apply(api, _service())
        started = {role: pods.wait_started(api, name) for role, name in names.items()}
        yield {
            role: _Pod(places[role], pods.address(pod, "ipv4"), pods.container_id(pod))
            for role, pod in started.items()
        }


def _service_address(api: Api) -> str:
    return str(api.call(api.core.read_namespaced_service, SERVICE, NAMESPACE).spec.cluster_ip)


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "selector": {NAME_LABEL: "probe-far"},
            "ports": [{"port": PORT}],
            **objects.single_stack("ipv4"),
        },
    }
