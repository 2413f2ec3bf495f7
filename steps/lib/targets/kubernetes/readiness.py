"""Waiting until a plugin is ready, with the last reason when it never is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.models import Ready
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.objects import Reference, read

POLL_S = 0.5
LOG_LINES = 5


@dataclass(frozen=True)
class Readiness:
    """Everything that must be true before a plugin counts as ready."""

    api: Api
    nodes: Sequence[str]
    file_exists: Callable[[str, str], bool]
    """Whether a node (first argument) has a file (second)."""

    def wait(self, ready: Ready) -> None:
        """Wait for all of it.

        Raises:
            RefusedError: something was not ready in time; the message says what, with the last
                events and log lines of the pods that were not.
        """
        deadline = time.monotonic() + ready.timeout_s
        while problems := list(self._problems(ready)):
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"not ready in {ready.timeout_s:g} s: " + "; ".join(problems) + self._why(ready)
                )
            time.sleep(POLL_S)

    def _problems(self, ready: Ready) -> Iterator[str]:
        for name in ready.daemonsets:
            yield from _daemonset_problem(self._workload("DaemonSet", name), name)
        for name in ready.deployments:
            yield from _deployment_problem(self._workload("Deployment", name), name)
        for wanted in ready.conditions:
            found = self._read(wanted.api_version, wanted.kind, wanted.name, wanted.namespace)
            yield from _condition_problem(found, wanted.kind, wanted.name, wanted.type)
        for path in ready.files:
            absent = [node for node in self.nodes if not self.file_exists(node, path)]
            if absent:
                yield f"{path} is not there on {', '.join(absent)}"
        yield from self._node_problems(ready)

    def _node_problems(self, ready: Ready) -> Iterator[str]:
        for node in self.api.call(self.api.core.list_node).items:
            if node.metadata.name not in self.nodes:
                continue
            conditions = {c.type: c for c in node.status.conditions or []}
            state = conditions.get("Ready")
            if state is None or state.status != "True":
                yield f"node {node.metadata.name} is not Ready: {state.message if state else '-'}"
            unavailable = conditions.get("NetworkUnavailable")
            if unavailable is not None and unavailable.status == "True":
                yield f"node {node.metadata.name}: NetworkUnavailable: {unavailable.message}"
            for taint in node.spec.taints or []:
                if taint.key in ready.taints_gone:
                    yield f"node {node.metadata.name} has the taint {taint.key}"

    def _workload(self, kind: str, workload: str) -> dict[str, Any] | None:
        namespace, _, name = workload.partition("/")
        return self._read("apps/v1", kind, name, namespace)

    def _read(
        self, api_version: str, kind: str, name: str, namespace: str | None
    ) -> dict[str, Any] | None:
        wanted = Reference(api_version=api_version, kind=kind, name=name, namespace=namespace)
        return read(self.api, wanted)

    def _why(self, ready: Ready) -> str:
        """What the pods that are not ready say: state, last events, last lines of the log."""
        said = []
        for kind, names in (("DaemonSet", ready.daemonsets), ("Deployment", ready.deployments)):
            for name in names:
                workload = self._workload(kind, name)
                if workload is not None:
                    said += list(self._pods_say(name.partition("/")[0], workload))
        return "".join(f"\n  {line}" for line in said)

    def _pods_say(self, namespace: str, workload: dict[str, Any]) -> Iterator[str]:
        labels = workload["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{k}={v}" for k, v in labels.items())
        listed = self.api.call(
            self.api.core.list_namespaced_pod, namespace, label_selector=selector
        )
        if not listed.items:
            yield f"{namespace}: no pod of {workload['metadata']['name']} was made"
        for pod in listed.items:
            yield from pod_says(self.api, pod)


def pod_says(api: Api, pod: Any) -> Iterator[str]:
    """Why a pod is not ready: its containers' states, its last events, its last log lines."""
    name, namespace = pod.metadata.name, pod.metadata.namespace
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    if pod.status.reason or pod.status.message:
        yield f"pod {name}: {pod.status.reason or ''} {pod.status.message or ''}".rstrip()
    for status in statuses:
        state = status.state.waiting or status.state.terminated
        if state is None and status.ready:
            continue
        if state is not None and state.reason != "Completed":
            yield f"pod {name}: {status.name}: {state.reason}: {_message(state)}"
        if state is None or state.reason in ("Error", "CrashLoopBackOff"):
            for line in _last_lines(api, namespace, name, status):
                yield f"pod {name}: {status.name}: log: {line}"
    events = api.call(
        api.core.list_namespaced_event, namespace, field_selector=f"involvedObject.name={name}"
    )
    for event in events.items[-3:]:
        yield f"pod {name}: event: {event.reason}: {event.message}"


def _message(state: Any) -> str:
    """What a container that waits or has ended says; many end without a word."""
    code = getattr(state, "exit_code", None)
    return (state.message or ("" if code is None else f"status {code}")).strip()


def _last_lines(api: Api, namespace: str, pod: str, status: Any) -> list[str]:
    """Of the container's last run, or of the one before while this one has said nothing yet."""
    for previous in (False, True)[: 1 + bool(status.restart_count)]:
        try:
            text = api.call(
                api.core.read_namespaced_pod_log,
                pod,
                namespace,
                container=status.name,
                tail_lines=LOG_LINES,
                previous=previous,
            )
        except CnibenchError:
            continue  # There is no log yet; the state says more.
        # A kubelet says this in place of the log of a container that it has removed.
        if text and not str(text).startswith("unable to retrieve container logs"):
            return str(text).strip().splitlines()
    return []


def _daemonset_problem(found: dict[str, Any] | None, name: str) -> Iterator[str]:
    if found is None:
        yield f"DaemonSet {name} is not there"
        return
    status, wanted = found.get("status", {}), found["status"].get("desiredNumberScheduled", 0)
    ready, updated = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    observed = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    if not observed or wanted == 0 or ready < wanted or updated < wanted:
        yield f"DaemonSet {name}: {ready} of {wanted} pods ready, {updated} updated"


def _deployment_problem(found: dict[str, Any] | None, name: str) -> Iterator[str]:
    if found is None:
        yield f"Deployment {name} is not there"
        return
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    available = status.get("availableReplicas", 0)
    observed = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    if not observed or available < wanted:
        yield f"Deployment {name}: {available} of {wanted} pods available"


def _condition_problem(
    found: dict[str, Any] | None, kind: str, name: str, wanted: str
) -> Iterator[str]:
    if found is None:
        yield f"{kind} {name} is not there"
        return
    conditions = found.get("status", {}).get("conditions", [])
    state = next((c for c in conditions if c["type"] == wanted), None)
    if state is None or state["status"] != "True":
        said = state.get("message", state["status"]) if state else "not reported"
        yield f"{kind} {name}: {wanted} is not True: {said}"
