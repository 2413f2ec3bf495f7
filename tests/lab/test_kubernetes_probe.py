"""The proof that a pod network works: all ways that people use, and what is said of others."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes import probe
from tests.lab.clusters import CONFIGURATION, Attached, lay_out

pytestmark = pytest.mark.lab

DNS = "k8s-app=kube-dns"
WAIT_S = 60.0
EARLY = {"cniVersion": "1.0.0", "name": "early", "plugins": [{"type": "not-there-yet"}]}


def dns_pods(cluster: Attached) -> list[Any]:
    api = cluster.api
    return list(api.call(api.core.list_namespaced_pod, "kube-system", label_selector=DNS).items)


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def too_early(cluster: Attached) -> Iterator[None]:
    """The plugin's first file is there, and nothing that it names."""
    for node in cluster.names:
        cluster.agents.call(node, "write_file", path=CONFIGURATION, text=json.dumps(EARLY))
    try:
        yield
    finally:
        lay_out(cluster)


@contextmanager
def without_dns(cluster: Attached) -> Iterator[None]:
    api = cluster.api

    def scale(replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        api.call(api.apps.patch_namespaced_deployment_scale, "coredns", "kube-system", body)

    scale(0)
    try:
        wait(lambda: not dns_pods(cluster))
        yield
    finally:
        scale(1)


def has_been_tried(cluster: Attached, pod: str) -> bool:
    """Whether a node has tried in vain to make a pod's network."""
    about, api = f"involvedObject.name={pod}", cluster.api
    seen = api.call(api.core.list_namespaced_event, "kube-system", field_selector=about).items
    return any(event.reason == "FailedCreatePodSandBox" for event in seen)


def test_a_working_pod_network_is_proven(cluster: Attached) -> None:
    probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)


def test_ways_that_do_not_work_are_named(
    cluster: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 3.0)
    other = cluster.pod_cidrs["n2"]
    cluster.agents.call("n1", "run", command=["ip", "route", "replace", "blackhole", other])
    try:
        with pytest.raises(RefusedError) as raised:
            probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)
    finally:
        lay_out(cluster)
    said = str(raised.value)
    assert "pod to pod on another node: 10.244." in said
    assert "node n1 to a pod on n2: 10.244." in said
    assert "pod to pod on the same node" not in said
    assert "node n2 to a pod" not in said


def test_a_cluster_without_a_working_dns_is_told_so(
    cluster: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 1.0)
    with without_dns(cluster), pytest.raises(RefusedError) as raised:
        probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)
    said = "a name of the cluster's DNS: no pod of Service kube-dns.kube-system is ready"
    assert said in str(raised.value)


def test_a_dns_that_began_before_the_network_is_started_anew(cluster: Attached) -> None:
    with ExitStack() as early:
        with without_dns(cluster):
            early.enter_context(too_early(cluster))
        wait(lambda: len(dns_pods(cluster)) == 1)
        (stuck,) = (pod.metadata.name for pod in dns_pods(cluster))
        wait(lambda: has_been_tried(cluster, stuck))
    probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)
    (pod,) = (pod for pod in dns_pods(cluster) if pod.metadata.deletion_timestamp is None)
    assert pod.metadata.name != stuck
