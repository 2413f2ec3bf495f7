"""On Argo the pod of a stage is the client outside of the cluster, and has no right for it."""

import pytest

from benchmarks.argo import in_catalog
from steps.lib.catalog import Catalog
from tests.lab.on_argo.argo import LONG, SMALL, TIMING, Argo, messages, select

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not LONG, reason="a campaign more: CNIBENCH_LAB_LONG=1 asks for it"),
]

PATHS = ("external-service", "pod-external")


def test_the_pod_of_a_stage_is_the_client_outside(argo: Argo) -> None:
    """Of the matrix of every path those two that lead out of the cluster, or into it."""
    whole = Catalog().matrices.load("every-path")
    matrix = whole.model_copy(update={"name": "paths-outside", "paths": PATHS})
    chosen = {"plugin": "host-network", "matrix": matrix.name, "name": "outside"}
    with in_catalog(argo.lab, matrix):
        ended = argo.end(argo.submit("cnibench-plugin", **SMALL | chosen))
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    columns = "path, status, coalesce(reason, ''), cpu_client_s + cpu_server_s"
    found = select(argo, f"select {columns} from measurements where campaign = 'outside'")
    outside = {path: cell for path, *cell in found}
    assert outside.keys() == set(PATHS)
    for status, reason, tools_s in outside.values():
        assert (status == "ok" and tools_s > 0.1) or reason.startswith(TIMING), reason
    assert any(status == "ok" for status, *_ in outside.values())
