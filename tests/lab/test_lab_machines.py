"""Nodes that are virtual machines: they join the cluster, have their own kernel, and go cleanly."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import status
from steps.lib.catalog import load_job
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.questions import ask
from steps.lib.store import open_store
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import connect
from steps.lib.targets.kubernetes.nodes import environment_class, linux
from tests.lab.campaigns import Run
from tests.lab.clusters import specification
from tests.lab.labs import LIFE, TARGET, call, run
from tests.lab.machine import changes, inventory
from tests.lab.on_argo.argo import TIMING

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        os.environ.get("CNIBENCH_LAB_MACHINES") != "1",
        reason="software emulation takes minutes: CNIBENCH_LAB_MACHINES=1 asks for it",
    ),
]

CAMPAIGN = Path(__file__).parents[2] / "workflows" / "campaigns" / "emulated.yaml"


@pytest.fixture(scope="module", autouse=True)
def up() -> Iterator[None]:
    """A target whose nodes are machines; nothing of it stays."""
    run(LIFE, "down")
    before = inventory(LIFE)
    run(LIFE, "up", "--only", "target", "--nodes", "vm")
    yield
    run(LIFE, "down")
    assert changes(before, inventory(LIFE)) == []


def test_they_are_in_the_cluster_and_the_status_says_so() -> None:
    done = call(LIFE, "status")
    assert done.returncode == status.UP, done.stdout
    assert done.stdout.count("waits for a network plugin") == len(TARGET.nodes)


def test_what_is_measured_on_them_is_emulated_and_their_kernel_encrypts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(LIFE.kubeconfig))
    api = connect(LIFE.context(TARGET))
    found = linux(api)
    assert environment_class(found) == "emulated"
    api.ensure_namespace()
    name = str(found[0].metadata.name)
    agents = Agents(api, specification(LIFE).toolbox_image, [name])
    agents.ensure()
    try:
        for kind in ("wireguard", "geneve"):
            assert agents.call(name, "link_kind_problem", kind=kind) is None
        for module in ("esp4", "ip_vs", "openvswitch"):
            assert agents.call(name, "module_state", name=module) in ("loadable", "loaded")
    finally:
        agents.remove()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The campaign of the variants that need such a kernel, run once."""
    whole = load_job(CAMPAIGN)
    target = specification(LIFE).model_copy(update={"external_client": None})
    campaign = whole.campaign.model_copy(update={"target": target})
    run = Run(tmp_path_factory.mktemp("emulated"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(LIFE.kubeconfig))
        run.of(whole.model_copy(update={"campaign": campaign}))
    return run


def test_variants_that_need_such_a_kernel_carry_traffic_and_leave_nothing(ran: Run) -> None:
    plugins = load_job(CAMPAIGN).campaign.plugins
    assert ran.blocks() == dict.fromkeys(plugins, ("ok", ""))
    cells = ran.select("select plugin, cell, status, coalesce(reason, '') from measurements")
    assert len(cells) == 2 * len(plugins), "two paths of each"
    # An emulated node may stand still for seconds, which gates see; anything else is a fault.
    assert [c for c in cells if c[2] != "ok" and not c[3].startswith(TIMING)] == []
    assert {plugin for plugin, _, status, _ in cells if status == "ok"} == set(plugins)
    assert ran.select("select distinct residue from blocks") == [([],)]
    assert ran.select("select distinct environment_class from measurements") == [("emulated",)]


def test_their_encryption_is_seen_on_the_wire(ran: Run) -> None:
    encrypted = {p.name for p in load_job(CAMPAIGN).plugins if p.paths["cross-node"].encrypted}
    assert len(encrypted) > 2
    passed = ran.select(
        "select plugin from measurements, unnest(gates) as u(gate) "
        "where path = 'cross-node' and gate.gate = 'encryption' and gate.verdict = 'pass'"
    )
    assert {plugin for (plugin,) in passed} == encrypted


def test_they_are_never_ranked(ran: Run) -> None:
    answer = ask(open_database(open_store(str(ran.folder))), "fastest-plugin", "emulated")
    assert "emulated nodes are never compared" in str(answer.rows)


def test_nodes_of_another_kind_are_not_mixed_with_them() -> None:
    done = call(LIFE, "up", "--only", "target", "--nodes", "namespaces")
    assert done.returncode == InputError.exit_code
    assert "before another kind comes up" in done.stderr


def test_kube_proxy_stays_on_in_them() -> None:
    done = call(LIFE, "kube-proxy", "off")
    assert done.returncode == InputError.exit_code
    assert "bring the lab up with `--nodes namespaces`" in done.stderr


def test_a_killed_machine_comes_up_again() -> None:
    run(LIFE, "kill-node", "n2")
    assert call(LIFE, "status").returncode == status.SOMETHING_DOWN
    run(LIFE, "up", "--only", "target")
    assert call(LIFE, "status").returncode == status.UP
