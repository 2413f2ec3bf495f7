"""What died in a lab comes back by another ``up``, and what runs is left alone."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from string import Template

import psutil
import pytest

from lab import api, images, node, processes, status
from lab.groups import INNER, Groups
from lab.layout import DATA, Lab
from steps.lib.targets.namespaces.programs import output
from tests.lab.labs import LIFE, MGMT, TARGET, call, inside, pids, run, wait_until

pytestmark = pytest.mark.lab

N1, N2 = TARGET.nodes


@pytest.fixture(scope="module", autouse=True)
def life() -> Iterator[Lab]:
    """Both clusters of a lab."""
    run(LIFE, "down")
    run(LIFE, "up")
    yield LIFE
    run(LIFE, "down")


def states() -> dict[str, str]:
    return api.node_states(LIFE, TARGET)


def test_the_target_waits_for_a_plugin_and_the_management_cluster_does_not() -> None:
    assert states() == {"n1": api.NO_NETWORK, "n2": api.NO_NETWORK}
    assert api.node_states(LIFE, MGMT) == {"m1": "Ready"}
    assert api.deployment_complaint(LIFE, MGMT, "kube-system", "coredns") is None
    assert api.deployment_complaint(LIFE, TARGET, "kube-system", "coredns") is not None


def test_status_names_every_piece_and_how_to_use_the_lab() -> None:
    done = call(LIFE, "status")
    assert done.returncode == status.UP
    for text in ("apiserver", "controllers", "n1", "m1", "waits for a", "cnib-life-client"):
        assert text in done.stdout
    assert done.stdout.endswith(f"export KUBECONFIG={LIFE.kubeconfig}\n")


def test_the_kubeconfig_leads_to_both_clusters() -> None:
    found = json.loads(LIFE.kubeconfig.read_text())["contexts"]
    assert [each["name"] for each in found] == ["cnibench-life", "cnibench-mgmt"]


def test_another_up_changes_no_process() -> None:
    before = pids(LIFE)
    assert None not in before.values()
    run(LIFE, "up")
    assert pids(LIFE) == before


def test_a_node_sees_nothing_of_the_machine(tmp_path: Path) -> None:
    root = inside(LIFE, N1)
    assert tmp_path.is_dir()
    assert not (root / tmp_path.relative_to("/")).exists()
    assert (root / "etc/hostname").read_text() == "n1\n"
    assert (root / "proc/sys/kernel/panic").read_text() == "10\n"
    with pytest.raises(OSError, match="Read-only"):
        (root / "proc/sys/kernel/core_pattern").write_text("core")
    # Seen from here, the numbers are ours: the root of its groups is the node's own group, where
    # version 2 bears no process, as the kubelet makes groups in it.
    top = root / "sys/fs/cgroup" / Groups(LIFE.group).hierarchies[0].name
    assert (top / "cgroup.procs").read_text() == ""
    assert str(pids(LIFE)["n1"]) in (top / INNER / "cgroup.procs").read_text().split()


@pytest.mark.parametrize("piece", ["target-etcd", "target-controllers", "target-gateway"])
def test_a_dead_piece_comes_back_alone(piece: str) -> None:
    before = pids(LIFE)
    dead = before.pop(piece)
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: not processes.runs(LIFE, piece))
    run(LIFE, "up")
    after = pids(LIFE)
    assert after.pop(piece) not in (None, dead)
    assert after == before


def test_the_api_server_can_be_restarted_alone() -> None:
    before = pids(LIFE)
    run(LIFE, "restart-apiserver", "target")
    after = pids(LIFE)
    assert after.pop("target-apiserver") != before.pop("target-apiserver")
    assert after == before
    assert call(LIFE, "status").returncode == status.UP


def test_a_killed_node_comes_back_ready() -> None:
    for number, host in enumerate(TARGET.nodes):
        text = Template((DATA / "bridge.conflist").read_text())
        network = inside(LIFE, host) / "etc/cni/net.d/10-test.conflist"
        network.write_text(text.substitute(pod_subnet=f"10.244.{number}.0/24"))
    wait_until(lambda: set(states().values()) == {"Ready"})
    before = pids(LIFE)
    run(LIFE, "kill-node", "n2")
    assert pids(LIFE)["n2"] is None
    wait_until(lambda: states()["n2"].startswith("not ready"))
    assert states()["n1"] == "Ready"
    assert call(LIFE, "status").returncode == status.SOMETHING_DOWN
    run(LIFE, "up")
    wait_until(lambda: set(states().values()) == {"Ready"})
    after = pids(LIFE)
    assert after.pop("n2") not in (None, before.pop("n2"))
    assert after == before


@pytest.mark.parametrize("program", ["kubelet", "containerd", "kube-proxy"])
def test_a_program_that_dies_in_a_node_is_started_again(program: str) -> None:
    def running() -> set[int]:
        found = Groups(LIFE.group).processes("n1")
        named = psutil.process_iter(["name"])
        return {p.pid for p in named if p.pid in found and p.info["name"] == program}

    (dead,) = running()
    before = pids(LIFE)
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: len(running() - {dead}) == 1)
    assert pids(LIFE) == before


def on_the_node(*command: str) -> str:
    """By the node's own program: an older one does not understand all that a newer one made."""
    return output([*images.IN_NODE, str(node.init_pid(LIFE, N2)), "--net", "--", *command])


def tables() -> str:
    return on_the_node("nft", "list", "tables")


def chains() -> str:
    return on_the_node("iptables-save", "-t", "nat")


def test_kube_proxy_can_be_switched_off_with_all_its_rules() -> None:
    wait_until(lambda: "kube-proxy" in tables())
    run(LIFE, "kube-proxy", "off")
    assert "kube-proxy" not in tables()
    run(LIFE, "kube-proxy", "on")
    wait_until(lambda: "kube-proxy" in tables())


def test_kube_proxy_runs_in_the_mode_that_it_is_told() -> None:
    run(LIFE, "kube-proxy", "on", "--mode", "iptables")
    wait_until(lambda: "KUBE-SERVICES" in chains())
    assert "kube-proxy" not in tables()
    run(LIFE, "kill-node", "n2")
    run(LIFE, "up", "--only", "target")
    wait_until(lambda: "KUBE-SERVICES" in chains())
    run(LIFE, "kube-proxy", "on", "--mode", "nftables")
    wait_until(lambda: "kube-proxy" in tables())
    assert "KUBE-SERVICES" not in chains()


def test_one_cluster_goes_down_alone() -> None:
    run(LIFE, "down", "--only", "mgmt")
    assert set(pids(LIFE)) == set(TARGET.pieces)
    assert call(LIFE, "status").returncode == status.UP
