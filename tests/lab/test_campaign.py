"""The whole job on a real cluster: every plugin that can run in the lab, measured and removed."""

from pathlib import Path

import pytest

from lab.layout import Lab
from steps.lib.catalog import Job, load_job
from steps.lib.database import open_database
from steps.lib.models import Matrix
from steps.lib.questions import ask
from steps.lib.store import open_store
from steps.lib.targets import open_target
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from tests.jobs import matrix, plugin
from tests.lab import machine
from tests.lab.campaigns import Run
from tests.lab.clusters import specification

pytestmark = pytest.mark.lab

CAMPAIGN = Path(__file__).parents[2] / "workflows" / "campaigns" / "lab.yaml"

IMPOSSIBLE = {
    "cilium-geneve": "kernel has no geneve",
    "cilium-wireguard": "kernel has no wireguard",
    "flannel-wireguard": "kernel has no wireguard",
}
"""Variants whose sources are at hand, and why this kernel cannot run them."""

SIBLINGS = (
    "bridge-vxlan",
    "cilium-hubble",
    "cilium-native",
    "cilium-vxlan",
    "flannel-host-gw",
    "ptp-routes",
)
"""Each differs from others by a setting or two; ``make lab-demo`` and ``bench-lab`` run all."""

ELSEWHERE = ("kube-router",)
"""Installed by ``test_every_cell.py``, which measures more of it."""

STARVED = "reason similar to '(cpu-window|duration): .*'"
"""What a busy machine does to one-second cells: gates that compare clocks refuse them, rightly."""

STARVED_SHARE_MAX = 0.25

PATHS = ["same-node", "cross-node", "pod-service", "external-service", "host-to-host"]


def short() -> Matrix:
    """One second of one stream on each path of the issue."""
    return matrix(paths=PATHS)


@pytest.fixture(scope="module")
def job(lab: Lab, api: Api) -> Job:
    """The lab's campaign, with cells as short as can be, and variants that are impossible."""
    whole = load_job(CAMPAIGN)
    possible = [name for name in whole.campaign.plugins if name not in (*SIBLINGS, *ELSEWHERE)]
    names = (*possible, *IMPOSSIBLE)
    campaign = whole.campaign.model_copy(update={"target": specification(lab), "plugins": names})
    plugins = tuple(plugin(name) for name in names)
    return whole.model_copy(update={"campaign": campaign, "plugins": plugins, "matrix": short()})


@pytest.fixture(scope="module")
def machine_before() -> dict[str, list[str]]:
    """The machine's own network and settings, before anything was installed in the lab."""
    return machine.network()


@pytest.fixture(scope="module")
def run(machine_before: object, job: Job, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The campaign, run once."""
    run = Run(tmp_path_factory.mktemp("campaign"))
    run.of(job)
    return run


def test_every_plugin_is_measured_on_every_path_and_removed(run: Run, job: Job) -> None:
    possible = [name for name in job.campaign.plugins if name not in IMPOSSIBLE]
    assert run.blocks() == dict.fromkeys(possible, ("ok", ""))
    found = "select plugin, path, status, reason from measurements"
    assert run.select(f"{found} where status != 'ok' and not {STARVED}") == []
    measured = [(name, path) for name, path, *_ in run.select(found)]
    assert sorted(measured) == sorted((name, path) for name in possible for path in PATHS)
    starved = run.select(f"{found} where status != 'ok'")
    assert len(starved) <= STARVED_SHARE_MAX * len(measured), starved
    assert run.select("select distinct residue from blocks") == [([],)]
    assert run.select("select plugin from blocks where idle_busy_cpus is null") == []


def test_cpu_is_known_of_each_node_and_of_the_plugins_own_pods(run: Run, job: Job) -> None:
    used = dict(
        run.select(
            "select plugin, max(cpu_plugin_s) from measurements where status = 'ok' group by plugin"
        )
    )
    with_pods = {p.name for p in job.plugins if p.ready.daemonsets}
    assert {name for name, used_s in used.items() if used_s > 0} == with_pods & used.keys()
    # Nodes in namespaces share the machine's kernel: they are one.
    nodes = "select distinct len(cpu_by_node) from measurements where status = 'ok'"
    assert run.select(nodes) == [(1,)]


def test_nothing_of_ours_stays_on_the_cluster(run: Run, api: Api) -> None:
    assert api.get(api.core.read_namespace, NAMESPACE) is None
    for pod in api.call(api.core.list_pod_for_all_namespaces).items:
        assert pod.metadata.name.startswith("coredns-")


def test_the_machine_that_carries_the_lab_is_as_it_was(
    run: Run, machine_before: dict[str, list[str]]
) -> None:
    assert machine.changes(machine_before, machine.network()) == []


def test_what_the_kernel_lacks_is_unsupported_with_the_reason(run: Run) -> None:
    found = run.select(
        "select distinct plugin, unsupported_reason from planned where unsupported_reason not null"
    )
    assert dict(found) == IMPOSSIBLE


def test_versions_are_those_that_the_plugins_say_themselves(run: Run, job: Job) -> None:
    told = dict(run.select("select plugin, plugin_version from blocks"))
    for each in job.plugins:
        if each.name not in IMPOSSIBLE and each.version is not None:
            assert told[each.name].lstrip("v") == each.source.version.lstrip("v")


def test_nodes_of_one_kernel_are_told_so(run: Run) -> None:
    assert run.select("select distinct environment_class from nodes") == [("single-kernel",)]


@pytest.mark.parametrize("question", ["fastest-plugin", "overhead", "coverage", "plugin-life"])
def test_the_same_questions_are_answered(run: Run, job: Job, question: str) -> None:
    database = open_database(open_store(str(run.folder)))
    assert ask(database, question, job.campaign.name).rows


def test_a_second_run_has_nothing_to_do(run: Run, job: Job) -> None:
    before = run.select("select count(*) from measurements")
    assert run.of(job) == []
    assert run.select("select count(*) from measurements") == before


def test_looking_leaves_nothing_behind(lab: Lab, api: Api) -> None:
    target = open_target(specification(lab))
    assert target.missing_requirements() == []
    assert target.unsupported(plugin("cilium-geneve")) == IMPOSSIBLE["cilium-geneve"]
    target.let_go()
    assert api.get(api.core.read_namespace, NAMESPACE) is None
