"""The proof that a pod network works: all ways that people use, and what is said of others."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.layout import Lab
from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes import probe
from tests.lab.clusters import CONFIGURATION, Attached, attached, lay_out, pod_network

pytestmark = pytest.mark.lab

DNS = "k8s-app=kube-dns"
WAIT_S = 60.0
EARLY = {"cniVersion": "1.0.0", "name": "early", "plugins": [{"type": "not-there-yet"}]}


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[Attached]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(lab.kubeconfig))
        with attached(lab) as found, pod_network(found):
            yield found


def all_dns_pods(cluster: Attached) -> list[Any]:
    api = cluster.api
    return list(api.call(api.core.list_namespaced_pod, "kube-system", label_selector=DNS).items)


def dns_pods(cluster: Attached) -> list[Any]:
    return [pod for pod in all_dns_pods(cluster) if pod.metadata.deletion_timestamp is None]


def waiting_of_the_dns(cluster: Attached) -> list[Any]:
    """Containers that do not start, of all its pods; none as long as some other one is there."""
    found = [c for pod in all_dns_pods(cluster) for c in pod.status.container_statuses or []]
    return found if all(c.state.waiting and "Pull" in c.state.waiting.reason for c in found) else []


@contextmanager
def image_of_the_dns(cluster: Attached, image: str) -> Iterator[None]:
    """Have the DNS run another image for a while, and none beside that."""
    with_image = {"containers": [{"name": "coredns", "image": image}]}
    api = cluster.api
    before = api.call(api.apps.read_namespaced_deployment, "coredns", "kube-system")
    strategy = {"type": "Recreate", "rollingUpdate": None}
    patch = {"spec": {"strategy": strategy, "template": {"spec": with_image}}}
    api.call(api.apps.patch_namespaced_deployment, "coredns", "kube-system", patch)
    try:
        deadline = time.monotonic() + WAIT_S
        while [container.image for container in waiting_of_the_dns(cluster)] != [image]:
            assert time.monotonic() < deadline, "it does not wait for its image"
            time.sleep(0.1)
        yield
    finally:
        with_image["containers"][0]["image"] = before.spec.template.spec.containers[0].image
        api.call(api.apps.patch_namespaced_deployment, "coredns", "kube-system", patch)


def stuck_dns_pod(cluster: Attached) -> str:
    """Name of a DNS pod that its node has tried to start in vain: the plugin is not whole yet."""
    api, early = cluster.api, json.dumps(EARLY)
    for node in cluster.names:
        cluster.agents.call(node, "write_file", path=CONFIGURATION, text=early)
    for pod in dns_pods(cluster):
        api.get(api.core.delete_namespaced_pod, pod.metadata.name, "kube-system")
    deadline = time.monotonic() + WAIT_S
    while True:
        for pod in dns_pods(cluster):
            name = str(pod.metadata.name)
            about = f"involvedObject.name={name}"
            seen = api.call(api.core.list_namespaced_event, "kube-system", field_selector=about)
            if any(e.reason == "FailedCreatePodSandBox" for e in seen.items):
                return name
        assert time.monotonic() < deadline, "no node has tried"
        time.sleep(0.1)


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


def test_a_dns_that_cannot_start_is_said_with_what_its_pod_says(
    cluster: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 5.0)
    unknown = "cnibench/no-such-image:0"
    with image_of_the_dns(cluster, unknown), pytest.raises(RefusedError) as raised:
        probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)
    said = "a name of the cluster's DNS: no pod of Service kube-dns.kube-system is ready"
    assert said in str(raised.value)
    assert unknown in str(raised.value)


def test_a_dns_that_began_before_the_network_is_started_anew(cluster: Attached) -> None:
    stuck = stuck_dns_pod(cluster)
    lay_out(cluster)
    probe.prove(cluster.api, cluster.agents, cluster.nodes, cluster.spec)
    (pod,) = dns_pods(cluster)
    assert pod.metadata.name != stuck
