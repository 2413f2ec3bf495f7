"""Every path of a plugin, and what can be around a cell, on a real cluster: all of it counts."""

from collections.abc import Mapping

import pytest

from lab.layout import Lab
from steps.lib.models import PATHS, Matrix
from steps.lib.targets.kubernetes.api import Api
from tests.jobs import RR, TCP, matrix, plugin
from tests.lab.campaigns import Run, lab_job
from tests.lab.test_campaign import STARVED, STARVED_SHARE_MAX

pytestmark = pytest.mark.lab

PLUGIN = "kube-router"
"""It enforces policies, and its Services are kube-proxy's. ``make test-lab`` has it here only."""

ABSENT: Mapping[str, str] = {
    name: reason
    for name, path in PATHS.items()
    if (reason := path.absent or plugin(PLUGIN).unsupported.get(name))
}

REQUESTS = RR | {"kind": "tcp-crr", "tool": "transact", "duration_s": 1, "omit_s": 0}
LOAD = {
    "streams": 1,
    "message_bytes": 131072,
    "congestion_control": "cubic",
    "rate_bits_per_s": 100_000_000,
}
"""At a stated rate: both nodes' counters are some 50 ms apart on a busy machine, which of a second
at full speed is more than ``foreign-wire`` lets pass."""


def cells() -> Matrix:
    """A second of one stream on each path; a load, a policy and a population, each around one."""
    return matrix(
        TCP | {"paths": list(PATHS)},
        REQUESTS | {"id": "load", "load": LOAD},
        REQUESTS | {"id": "policy", "policy": {"kind": "default-deny", "rules": 10}},
        REQUESTS | {"id": "services", "paths": ["pod-service"], "scale": {"services": 20}},
        REQUESTS | {"id": "pods", "scale": {"pods": 5}},
    )


@pytest.fixture(scope="module")
def run(lab: Lab, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The campaign, run once."""
    run = Run(tmp_path_factory.mktemp("cells"))
    run.of(lab_job(lab, plugin(PLUGIN), of=cells()))
    return run


def test_every_path_is_measured_or_absent_with_the_reason(run: Run) -> None:
    assert run.blocks() == {PLUGIN: ("ok", "")}
    planned = "select path, unsupported_reason from planned where unsupported_reason not null"
    assert dict(run.select(planned)) == ABSENT
    found = run.select("select path, status, reason from measurements where cell like '%.tcp-1'")
    assert sorted(path for path, *_ in found) == sorted(set(PATHS) - set(ABSENT))
    wrong = "select cell, reason from measurements where status != 'ok'"
    assert run.select(f"{wrong} and not {STARVED}") == []
    starved = run.select(wrong)
    assert len(starved) <= STARVED_SHARE_MAX * len(run.cells()), starved


@pytest.mark.parametrize(
    ("cell", "gate"), [("cross-node.load", "companions"), ("cross-node.policy", "policy")]
)
def test_what_is_around_a_cell_is_proven(run: Run, cell: str, gate: str) -> None:
    found = "select unnest(gates, recursive := true) from measurements where cell = "
    proofs = run.select(f"select verdict, evidence from ({found}'{cell}') where gate = '{gate}'")
    assert [verdict for verdict, _ in proofs] == ["pass"], proofs


def test_how_long_the_cluster_took_is_known(run: Run) -> None:
    times = (
        "policy_applied_ms > 0, policy_removed_ms > 0, service_ready_ms > 0, pods_started_ms > 0"
    )
    wanted = "cell in ('cross-node.pods', 'cross-node.policy', 'pod-service.services')"
    in_order = run.select(f"select {times} from measurements where {wanted} order by cell")
    pods, policy, services = in_order
    assert pods == (None, None, None, True)
    assert policy == (True, True, None, None)
    assert services == (None, None, True, None)
