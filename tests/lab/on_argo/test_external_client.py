"""On Argo the pod of a stage is the client outside of the cluster, and has no right for it."""

from pathlib import Path

import pytest

from tests.lab.on_argo.argo import SMALL, TIMING, Argo, messages, select

ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        "cubic" not in ALLOWED.read_text().split(),
        reason=f"the matrix asks for cubic, which {ALLOWED} does not let an ordinary pod choose",
    ),
]


def test_the_pod_of_a_stage_is_the_client_outside(argo: Argo) -> None:
    chosen = {"plugin": "host-network", "matrix": "every-path", "name": "outside"}
    ended = argo.end(argo.submit("cnibench-plugin", **SMALL | chosen))
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    columns = "path, status, coalesce(reason, ''), cpu_client_s + cpu_server_s"
    found = select(argo, f"select {columns} from measurements where campaign = 'outside'")
    outside = {path: cell for path, *cell in found if "external" in path}
    assert outside.keys() == {"external-service", "pod-external"}
    for status, reason, tools_s in outside.values():
        assert (status == "ok" and tools_s > 0.1) or reason.startswith(TIMING), reason
    assert any(status == "ok" for status, *_ in outside.values())
