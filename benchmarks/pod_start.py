"""How long pods take to start, by step, as somebody sees who watches them at the API server.

A step that is over before the kubelet has told the one before it is seen together with it. The time
of a sandbox the kubelets count themselves, as a sum and a number, so that it is a mean; what the
network takes of it, nobody counts.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from kubernetes import watch

from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api

TIMEOUT_S = 120
STEPS = {"PodScheduled": "scheduled", "PodReadyToStartContainers": "sandbox", "Ready": "ready"}
"""The conditions of a pod that are watched, by what they say."""

_LABELS = PART_OF | {"app.kubernetes.io/component": "benchmark"}
_SELECTOR = ",".join(f"{name}={value}" for name, value in _LABELS.items())
_SANDBOX = re.compile(r"^kubelet_run_podsandbox_duration_seconds_(sum|count)\{.*\} (\S+)$", re.M)


@dataclass
class _Watched:
    """When each pod was asked for, and when each of its steps was seen, both monotonic."""

    expected: int
    asked_s: dict[str, float] = field(default_factory=dict)
    seen_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def note(self, pod: Any) -> bool:
        """Take a pod's state; whether all pods are ready by now."""
        now, name = time.monotonic(), pod.metadata.name
        for condition in pod.status.conditions or []:
            if condition.status == "True" and condition.type in STEPS:
                self.seen_s.setdefault((name, STEPS[condition.type]), now)
        if any(s.state.running for s in pod.status.container_statuses or []):
            self.seen_s.setdefault((name, "started"), now)
        return sum(step == "ready" for _, step in self.seen_s) == self.expected

    def medians(self) -> dict[str, float]:
        """By step, over all pods."""
        found: dict[str, list[float]] = {}
        for (name, step), seen_s in self.seen_s.items():
            found.setdefault(step, []).append(seen_s - self.asked_s[name])
        return {step: median(values) for step, values in found.items()}


def pod_start_s(api: Api, image: str, count: int, *, host_network: bool) -> dict[str, float]:
    """Start pods at once, and take them away. Median seconds by step since each was asked for.

    ``sandbox alone`` is not seen but told by the kubelets: the mean time of a sandbox, its network
    included.
    """
    names = [f"benchmark-{number}" for number in range(count)]
    before = _sandboxes(api)
    with _watching(api, count) as watched:
        for name in names:
            watched.asked_s[name] = time.monotonic()
            pods.create(api, _body(name, image, host_network))
    after = _sandboxes(api)
    pods.delete(api, *names)
    (seconds, made) = (after[0] - before[0], after[1] - before[1])
    return watched.medians() | {"sandbox alone": seconds / made}


@contextmanager
def _watching(api: Api, expected: int) -> Iterator[_Watched]:
    """Watch before anything is made; at the end wait until all pods are ready."""
    watched = _Watched(expected)
    listed = api.call(api.core.list_namespaced_pod, NAMESPACE, label_selector=_SELECTOR)
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(_watch, api, watched, listed.metadata.resource_version)
        yield watched
        watching.result()
    ready = sum(step == "ready" for _, step in watched.seen_s)
    if ready != expected:
        raise TimeoutError(
            f"only {ready} of {expected} pods were ready in {TIMEOUT_S} s: {_states(api)}"
        )


def _states(api: Api) -> str:
    """What the API server says of the pods when the watch is over."""
    listed = api.call(api.core.list_namespaced_pod, NAMESPACE, label_selector=_SELECTOR).items
    states = Counter(
        (
            pod.spec.node_name,
            pod.status.phase,
            pod.status.reason,
            *(c.type for c in pod.status.conditions or [] if c.status == "True"),
        )
        for pod in listed
    )
    return "; ".join(f"{count} {' '.join(map(str, state))}" for state, count in states.items())


def _watch(api: Api, watched: _Watched, since: str) -> None:
    make: Callable[..., Any] = watch.Watch  # It carries no types.
    events: Iterable[Any] = make().stream(
        api.core.list_namespaced_pod,
        NAMESPACE,
        label_selector=_SELECTOR,
        resource_version=since,
        timeout_seconds=TIMEOUT_S,
        # For an API server that dies without a word: nothing is sent for longer than that.
        _request_timeout=TIMEOUT_S + 1,
    )
    for event in events:
        if watched.note(event["object"]):
            return


def _body(name: str, image: str, host_network: bool) -> dict[str, Any]:
    container = {
        "name": "pod",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
    }
    return {
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {
            "hostNetwork": host_network,
            # With the host-network plugin nodes stay without a network, and thus not ready.
            "tolerations": [{"operator": "Exists"}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [container],
        },
    }


def _sandboxes(api: Api) -> tuple[float, float]:
    """Seconds that all kubelets have spent on sandboxes, and how many they made."""
    totals = {"sum": 0.0, "count": 0.0}
    for node in api.call(api.core.list_node).items:
        text = api.call(
            api.core.connect_get_node_proxy_with_path,
            node.metadata.name,
            "metrics",
            _preload_content=False,
        ).data.decode()
        for which, value in _SANDBOX.findall(text):
            totals[which] += float(value)
    return totals["sum"], totals["count"]
