"""Agents come to the nodes of a real cluster, stay, answer, and survive what happens there."""

import time
from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.errors import CnibenchError, RefusedError, TransientError
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.agents import DIGEST_ANNOTATION, SELECTOR, Agents
from steps.lib.targets.kubernetes.api import NAMESPACE
from tests.agent_bpf import bpf
from tests.lab.clusters import Attached, attached
from tests.lab.labs import call

pytestmark = pytest.mark.lab

INTRUDERS = {
    "ip link add intruder0 type bridge": ("links", "intruder0 bridge"),
    "iptables-nft -t nat -N INTRUDER; iptables-nft -t nat -A POSTROUTING -j INTRUDER": (
        "iptables",
        "iptables-nft nat > -A POSTROUTING -j INTRUDER",
    ),
    "ip route add 203.0.113.0/24 via 10.98.0.1 proto 17": (
        "routes",
        "dst 203.0.113.0/24 gateway 10.98.0.1",
    ),
    "ipset create intruder hash:ip": ("ipsets", "intruder hash:ip"),
    "echo x=1 >/proc/1/root/etc/sysctl.d/99-intruder.conf": (
        "files",
        "/etc/sysctl.d/99-intruder.conf",
    ),
    "mkdir /proc/1/root/sys/fs/bpf/intruder;"
    + bpf("pin /proc/1/root/sys/fs/bpf/intruder/program"): ("bpf", "intruder/program"),
    "tc qdisc add dev eth0 clsact;"
    "tc filter add dev eth0 egress pref 7 bpf da object-pinned "
    "/proc/1/root/sys/fs/bpf/intruder/program": ("tc", "eth0 egress all 7 bpf program"),
    "echo {} >/proc/1/root/etc/cni/net.d/10-x.conflist.intruder_bak": (
        "files",
        "/etc/cni/net.d/10-x.conflist.intruder_bak",
    ),
}
CLEAN = {
    "links": ["intruder*"],
    "iptables": ["INTRUDER"],
    "routes": ["proto 17"],
    "ipsets": ["intruder"],
    "bpf_pins": ["intruder"],
    "tc": ["eth0"],
    "paths": ["/etc/sysctl.d/99-intruder.conf", "/etc/cni/net.d/*.intruder_bak"],
}


@pytest.fixture(scope="module")
def cluster(lab: Lab, monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Attached]:
    monkeypatch_module.setenv("KUBECONFIG", str(lab.kubeconfig))
    with attached(lab) as found:
        yield found


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def uids(cluster: Attached) -> list[str]:
    listed = cluster.api.call(
        cluster.api.core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR
    )
    return sorted(pod.metadata.uid for pod in listed.items)


def generations(cluster: Attached) -> dict[str, int]:
    answers = cluster.agents.answers("ping", {node: {} for node in cluster.names})
    return {node: answer.generation for node, answer in answers.items()}


def test_an_agent_that_is_there_is_used_again(cluster: Attached) -> None:
    before = uids(cluster)
    again = Agents(cluster.api, cluster.spec.toolbox_image, cluster.names)
    started = time.monotonic()
    again.ensure()
    assert time.monotonic() - started < 2
    assert uids(cluster) == before and len(before) == 2
    assert again.call("n1", "ping")["pid"] > 1
    again.close()


def test_an_agent_of_another_version_is_replaced(cluster: Attached) -> None:
    before = uids(cluster)
    patch = {"metadata": {"annotations": {DIGEST_ANNOTATION: "an older one"}}}
    api = cluster.api
    api.call(api.core.patch_namespaced_pod, "cnibench-agent-n1", NAMESPACE, patch)
    cluster.agents.ensure()
    after = uids(cluster)
    assert len(after) == 2 and len(set(before) & set(after)) == 1
    assert cluster.agents.call("n1", "ping")["pid"] > 1


def test_nodes_are_told_apart_and_described(cluster: Attached) -> None:
    facts = [cluster.agents.facts(node) for node in cluster.nodes]
    assert facts[0] == facts[1]  # One kernel, as long as the lab's nodes are namespaces.
    assert facts[0].underlay_mtu_bytes == 1500
    for node in cluster.nodes:
        told = cluster.agents.call(node.name, "run", command=["ip", "-o", "-4", "address"])
        assert node.address in told["stdout"]


def test_what_the_cluster_does_by_itself_is_no_residue(cluster: Attached) -> None:
    before = {node: cluster.agents.inventory(node) for node in cluster.nodes}
    time.sleep(3)
    assert {node: cluster.agents.inventory(node) for node in cluster.nodes} == before


def test_an_intruder_on_a_node_is_found_by_name_and_removed(cluster: Attached) -> None:
    node = cluster.nodes[1]
    before = cluster.agents.inventory(node)
    for script in INTRUDERS:
        told = cluster.agents.call(node.name, "run", command=["sh", "-ec", script])
        assert told["exit_code"] == 0, told["stderr"]
    after = cluster.agents.inventory(node)
    for kind, line in INTRUDERS.values():
        new = after[kind] - before[kind]
        assert any(each.startswith(line) for each in new), (line, new)
    assert cluster.agents.call(node.name, "clean", actions=CLEAN)["problems"] == []
    assert cluster.agents.inventory(node) == before


def test_calls_to_all_nodes_go_out_together(cluster: Attached) -> None:
    wait = {"command": ["sleep", "1"]}
    started = time.monotonic()
    told = cluster.agents.call_each("run", dict.fromkeys(cluster.names, wait))
    assert time.monotonic() - started < 1.9
    assert set(told) == set(cluster.names)


def test_an_error_on_a_node_keeps_its_class_and_names_the_node(cluster: Attached) -> None:
    with pytest.raises(RefusedError, match=r"node n2: net\.ipv4\.ip_forward cannot be set"):
        cluster.agents.call("n2", "write_setting", name="net.ipv4.ip_forward", value="x")


def test_an_agent_whose_process_died_is_started_anew(cluster: Attached) -> None:
    agents = cluster.agents
    before = generations(cluster)
    first = agents.call("n1", "ping")["pid"]
    kill = ["sh", "-c", f"sleep 0.3; kill -9 {first}"]
    agents.call("n1", "run", command=["setsid", "--fork", *kill])
    time.sleep(1)
    assert agents.call("n1", "ping")["pid"] != first
    assert generations(cluster) == {"n1": before["n1"] + 1, "n2": before["n2"]}
    assert generations(cluster) == {"n1": before["n1"] + 1, "n2": before["n2"]}


def test_an_agent_whose_pod_was_deleted_comes_back(cluster: Attached) -> None:
    before, were = generations(cluster), uids(cluster)
    pods.delete(cluster.api, "cnibench-agent-n2")
    assert cluster.agents.call("n2", "ping")["pid"] > 1
    assert len(uids(cluster)) == 2 and len(set(uids(cluster)) & set(were)) == 1
    assert generations(cluster) == {"n1": before["n1"], "n2": before["n2"] + 1}


def test_an_agent_whose_pod_has_failed_comes_back(cluster: Attached) -> None:
    api, were = cluster.api, uids(cluster)
    cluster.agents.close()
    # As after an eviction for want of memory or disk: the API server keeps the pod.
    failed = {"status": {"phase": "Failed", "reason": "Evicted"}}
    api.call(api.core.patch_namespaced_pod_status, "cnibench-agent-n2", NAMESPACE, failed)
    assert cluster.agents.call("n2", "ping")["pid"] > 1
    assert len(uids(cluster)) == 2 and len(set(uids(cluster)) & set(were)) == 1


def test_a_node_without_an_agent_is_said(cluster: Attached) -> None:
    with pytest.raises(CnibenchError, match="no agent is on node n3, only on n1, n2"):
        cluster.agents.call("n3", "ping")


def test_calls_survive_a_restart_of_the_api_server(cluster: Attached, lab: Lab) -> None:
    assert cluster.agents.call("n2", "ping")
    call(lab, "restart-apiserver", "target")
    assert cluster.agents.call("n2", "ping")
    assert cluster.agents.call("n1", "exists", path="/etc/cni/net.d")


def test_an_image_that_is_not_there_is_said_soon(cluster: Attached) -> None:
    image = "registry.invalid/no/such:image"
    body = {
        "metadata": {"name": "no-image"},
        "spec": {
            "nodeName": "n1",
            "hostNetwork": True,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "x", "image": image}],
        },
    }
    started = time.monotonic()
    pods.create(cluster.api, body)
    try:
        with pytest.raises(RefusedError, match=r"does not start \(Err\w+: image registry\.invalid"):
            pods.wait_started(cluster.api, "no-image")
        assert time.monotonic() - started < 30
    finally:
        pods.delete(cluster.api, "no-image")


def test_agents_leave_nothing_behind(cluster: Attached) -> None:
    cluster.agents.remove()
    api = cluster.api
    assert uids(cluster) == []
    maps = api.call(api.core.list_namespaced_config_map, NAMESPACE, label_selector=SELECTOR)
    assert maps.items == []
    cluster.agents.remove()
    with pytest.raises(TransientError, match="the agent on node n1 does not answer"):
        cluster.agents.call("n1", "ping")
    assert uids(cluster) == [], "what was taken away does not come back by itself"
    cluster.agents.ensure()
