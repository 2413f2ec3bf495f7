"""Pods of ours: made, awaited and taken away, each with a limit and the last reason."""

import http.client
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from kubernetes.client import V1DeleteOptions, V1Preconditions

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, family_of
from steps.lib.targets.kubernetes.api import NAMESPACE, AnswerError, Api
from steps.lib.targets.kubernetes.readiness import pod_says

START_TIMEOUT_S = 90.0
GONE_TIMEOUT_S = 60.0
NODE_MAY_NEED_S = 10.0
POLL_S = 0.05

HOPELESS = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
    "StartError",
)
"""States of a container that waiting does not change."""

ENDED = ("Failed", "Succeeded")
"""Phases of a pod that never runs again: an evicted one stays, in the first of them."""

REQUEST_ANNOTATION = "cnibench.io/request"

logger = logging.getLogger(__name__)

Pod = Any
"""The client's ``V1Pod``: its fields are all optional, and tell nothing to a type checker."""


def create(api: Api, body: dict[str, Any]) -> None:
    """Make a pod in our namespace, in place of one of the same name that a killed run left."""
    name = body["metadata"]["name"]
    make, look = api.core.create_namespaced_pod, api.core.read_namespaced_pod
    try:
        create_once(api, make, look, body)
    except AnswerError as error:
        if error.status != http.client.CONFLICT:
            raise RefusedError(f"pod {name} was refused: {error}") from error
        delete(api, name)
        create_once(api, make, look, body)


def create_once(
    api: Api, make: Callable[..., Any], look: Callable[..., Any], body: dict[str, Any]
) -> Any:
    """Create an object in our namespace; return it as the API server has it.

    A request whose answer was lost is sent again, and what it has made then is in its own way. It
    is known by a mark of this one creation.

    Args:
        api: The cluster.
        make: The client's function that creates one of its kind.
        look: The one that reads it.
        body: The object.

    Raises:
        AnswerError: the API server refuses it, or has another one of this name.
    """
    metadata, mark = body["metadata"], uuid.uuid4().hex
    annotations = {**metadata.get("annotations", {}), REQUEST_ANNOTATION: mark}
    marked = {**body, "metadata": {**metadata, "annotations": annotations}}
    try:
        return api.call(make, NAMESPACE, marked)
    except AnswerError as error:
        if error.status != http.client.CONFLICT:
            raise
        found = api.get(look, metadata["name"], NAMESPACE)
        present = (found.metadata.annotations or {}) if found is not None else {}
        if present.get(REQUEST_ANNOTATION) != mark:
            raise
        return found


def read(api: Api, name: str) -> Pod | None:
    """A pod of ours, or None."""
    return api.get(api.core.read_namespaced_pod, name, NAMESPACE)


def wait_started(api: Api, name: str, timeout_s: float = START_TIMEOUT_S) -> Pod:
    """Wait until the pod's container runs.

    Raises:
        RefusedError: it does not, or never will; with the container's state and the last events.
    """
    timeout_s *= api.patience
    deadline = time.monotonic() + timeout_s
    while True:
        pod = read(api, name)
        if pod is None:
            raise RefusedError(f"pod {name} was deleted by somebody else before it had started")
        if is_started(pod):
            return pod
        never = hopeless(pod)
        if never or time.monotonic() > deadline:
            why = never or f"not in {timeout_s:g} s"
            raise RefusedError(f"pod {name} does not start ({why}){explained(api, pod)}")
        time.sleep(POLL_S)


def is_started(pod: Pod) -> bool:
    """Whether its container runs and it has an address."""
    statuses = pod.status.container_statuses or []
    running = bool(statuses) and all(s.state.running is not None for s in statuses)
    return running and bool(pod.status.pod_ip) and pod.metadata.deletion_timestamp is None


def address(pod: Pod, family: AddressFamily) -> str:
    """Address of a pod that has started.

    Raises:
        RefusedError: the plugin gave it none of that family.
    """
    listed = [str(each.ip) for each in pod.status.pod_ips or []]
    found = next((each for each in listed if family_of(each) == family), None)
    if found is None:
        raise RefusedError(
            f"pod {pod.metadata.name} has no address of {family}; it has {', '.join(listed)}"
        )
    return found


def container_id(pod: Pod) -> str:
    """Identifier of its container: that of ``containerd://<identifier>``."""
    return str(pod.status.container_statuses[0].container_id.partition("://")[2])


def explained(api: Api, pod: Pod) -> str:
    """What the pod and its events say, as lines for the end of a message."""
    return "".join(f"\n  {line}" for line in _said(api, pod))


def delete(api: Api, *names: str, timeout_s: float = GONE_TIMEOUT_S) -> None:
    """Take pods away and wait until they are gone, their network too. Absent is fine.

    Raises:
        RefusedError: see ``wait_gone``.
    """
    end(api, *names)
    wait_gone(api, *names, timeout_s=timeout_s)


def end(api: Api, *names: str) -> None:
    """Have pods end, without waiting for it. Absent is fine."""
    for name in names:
        api.get(api.core.delete_namespaced_pod, name, NAMESPACE)


def wait_gone(api: Api, *names: str, timeout_s: float = GONE_TIMEOUT_S) -> None:
    """Wait until pods that were told to end are gone, their network too.

    What of them is left in the API server is struck off as soon as their node says that nothing is
    left there: it would do so itself a second later, when it next looks at all pods. Those of a
    node that does not report are struck off as well: only the node could say that they have ended,
    and it ends them when it comes back.

    Raises:
        RefusedError: one is still there when the time is over.
    """
    timeout_s *= api.patience
    deadline = time.monotonic() + timeout_s
    for name in names:
        while (pod := read(api, name)) is not None:
            if pod.metadata.deletion_timestamp is None:
                break  # Of the same name, made anew by somebody else meanwhile.
            if time.monotonic() > deadline:
                said = explained(api, pod)
                raise RefusedError(f"pod {name} is not gone after {timeout_s:g} s{said}")
            late = time.monotonic() > deadline - timeout_s + NODE_MAY_NEED_S
            if late and node_problem(api, pod.spec.node_name):
                logger.warning("pod=%s node=%s is struck off", name, pod.spec.node_name)
                _strike_off(api, pod)
            elif is_torn_down(pod):
                _strike_off(api, pod)
            time.sleep(POLL_S)


def is_torn_down(pod: Pod) -> bool:
    """Whether a pod that was told to end has no container and no network any more.

    A kubelet before 1.29 does not say the latter.
    """
    conditions = {c.type: c.status for c in pod.status.conditions or []}
    has_no_network = conditions.get("PodReadyToStartContainers") == "False"
    told_to_end = pod.metadata.deletion_timestamp is not None
    return told_to_end and pod.status.phase in ENDED and has_no_network


def _strike_off(api: Api, pod: Pod) -> None:
    this_one = V1Preconditions(uid=pod.metadata.uid)
    body = V1DeleteOptions(grace_period_seconds=0, preconditions=this_one)
    api.get(api.core.delete_namespaced_pod, pod.metadata.name, NAMESPACE, body=body)


def node_problem(api: Api, name: str) -> str | None:
    """Why a node cannot do anything: it is gone, or does not report any more."""
    node = api.get(api.core.read_node, name)
    if node is None:
        return f"node {name} was deleted"
    for condition in node.status.conditions or []:
        if condition.type == "Ready" and condition.status == "Unknown":
            return f"node {name} does not report: {condition.message}"
    return None


def _said(api: Api, pod: Pod) -> Iterator[str]:
    yield from pod_says(api, pod)
    for condition in pod.status.conditions or []:
        if condition.status != "True" and condition.message:
            yield f"pod {pod.metadata.name}: {condition.type}: {condition.message}"


def hopeless(pod: Pod) -> str | None:
    """Why waiting for the pod is in vain; None if it is not."""
    for status in pod.status.container_statuses or []:
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason in HOPELESS:
            return f"{waiting.reason}: image {status.image}"
        if ended is not None:
            return f"it ended with {ended.exit_code}: {(ended.message or '').strip()}"
    return str(pod.status.message or pod.status.reason) if pod.status.phase == "Failed" else None
