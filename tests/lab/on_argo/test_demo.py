"""The README's demo on a lab: a campaign by Argo, its answers, and the same campaign as a file."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.lab.on_argo.argo import LONG, Argo, nodes, select

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not LONG, reason="two campaigns more: CNIBENCH_LAB_LONG=1 asks for them"),
]

SCRIPT = Path(__file__).parents[3] / "lab" / "demo.sh"
NAME = "short-demo"
PLUGINS = ("bridge-routes", "host-network")


def test_the_demo_measures_answers_and_finds_everything_measured_from_a_file(
    argo: Argo, tmp_path: Path
) -> None:
    done = subprocess.run(
        # It ends what it has started, too.
        ["timeout", "900", str(SCRIPT), NAME, "smoke", ", ".join(PLUGINS)],
        cwd=tmp_path,
        env=os.environ | {"CNIBENCH_LAB": f"{argo.lab.name}:{argo.lab.port}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 blocks" in done.stderr
    (applied,) = re.findall(r"the same campaign as a file: workflow.argoproj.io/(\S+)", done.stdout)
    assert nodes(argo.workflow(applied), "run-block") == [], "nothing was missing"
    counted = f"select plugin, count(*) from measurements where campaign = '{NAME}' group by all"
    assert sorted(select(argo, counted)) == [(plugin, 3) for plugin in PLUGINS]
    report = (tmp_path / "report.html").read_text()
    _, _, answers = done.stdout.partition("the same campaign as a file")
    assert all(plugin in report and plugin in answers for plugin in PLUGINS)
