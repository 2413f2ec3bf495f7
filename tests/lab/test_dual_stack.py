"""A cluster with IPv6 beside IPv4 on nodes, pods and Services: each cell goes by its own family."""

from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.models import Matrix
from tests.jobs import TCP, matrix, plugin
from tests.lab import labs
from tests.lab.campaigns import Run, lab_job
from tests.lab.test_campaign import STARVED, STARVED_SHARE_MAX
from tests.lab.test_every_cell import REQUESTS

pytestmark = pytest.mark.lab

DUAL = Lab("dual", 18443)
"""The other labs of the tests have IPv4 only, as most clusters."""

PLUGIN = "bridge-dual-stack"
PATHS = ["cross-node", "pod-service", "pod-headless", "pod-to-node-port", "external-service"]


def cells() -> Matrix:
    """A second of one stream on each path, by each family; IPv6 with what can be beside it."""
    tcp = TCP | {"paths": PATHS}
    beside = {"id": "beside", "family": "ipv6", "paths": ["pod-service"]}
    return matrix(
        tcp,
        tcp | {"id": "tcp-1-ipv6", "family": "ipv6"},
        REQUESTS | beside | {"scale": {"services": 5, "pods": 2}},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The campaign, run once on a lab of its own, which goes."""
    try:
        labs.run(DUAL, "up", "--only", "target", "--dual-stack")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(DUAL.kubeconfig))
            job = lab_job(DUAL, plugin(PLUGIN), of=cells())
            target = job.campaign.target.model_copy(update={"families": ("ipv4", "ipv6")})
            campaign = job.campaign.model_copy(update={"target": target})
            made = Run(tmp_path_factory.mktemp("dual"))
            made.of(job.model_copy(update={"campaign": campaign}))
        yield made
    finally:
        labs.run(DUAL, "down")


def test_a_lab_with_both_families_keeps_them(run: Run) -> None:
    assert run.blocks()
    labs.run(DUAL, "up", "--only", "target")
    assert DUAL.is_dual_stack(labs.TARGET)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--nodes", "vm"), "virtual machines have IPv4 only"),
        (("--only", "mgmt"), "--dual-stack is of the target"),
    ],
)
def test_what_cannot_have_both_families_is_refused(arguments: tuple[str, ...], said: str) -> None:
    nobody = Lab("nobody", 19443)
    told = labs.call(nobody, "up", "--dual-stack", *arguments)
    assert told.returncode == 2 and said in told.stderr
    assert nobody.wanted() == []


def test_every_path_carries_both_families_and_is_cleaned_up(run: Run) -> None:
    assert run.blocks() == {PLUGIN: ("ok", "")}
    assert run.select("select distinct residue from blocks") == [([],)]
    wrong = "select cell, reason from measurements where status != 'ok'"
    assert run.select(f"{wrong} and not {STARVED}") == []
    measured = run.select("select cell from measurements")
    assert len(measured) == 2 * len(PATHS) + 1
    assert len(run.select(wrong)) <= STARVED_SHARE_MAX * len(measured)


def test_traffic_went_by_the_family_that_was_asked_for(run: Run) -> None:
    gates = "select cell not like '%.tcp-1' as is_ipv6, unnest(gates, recursive := true)"
    judged = run.select(
        f"select distinct is_ipv6, verdict from ({gates} from measurements) "
        "where gate = 'address-family' order by all"
    )
    assert judged == [(False, "pass"), (True, "pass")]
