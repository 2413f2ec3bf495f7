"""The command as a person types it: bad input gets a clear error, exit status 2, and no traces."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.store import open_store

ROOT = Path(__file__).parents[1]
CAMPAIGN = """\
name: quick
title: Quick
target: {kind: namespaces, name: cli}
plugins: [host-network]
profiles: [base]
matrix: demo
repeats: 1
seed: 1
"""


def cnibench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnibench", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | environment,
        check=False,
    )


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    path = tmp_path / "quick.yaml"
    path.write_text(CAMPAIGN)
    return path


WRONG_CAMPAIGNS = {
    "unknown field": ("seed: 1", "seeds: 1", ("seeds", "did you mean 'seed'?")),
    "unknown plugin": ("host-network", "host-netwrk", ("plugins", "did you mean 'host-network'?")),
    "unknown matrix": ("demo", "dmo", ("matrix", "did you mean 'demo'?")),
    "wrong type": ("repeats: 1", "repeats: many", ("repeats", "'many'")),
    "not YAML": ("seed: 1", "seed: [1", ("is not valid YAML",)),
    "missing field": ("title: Quick\n", "", ("title", "add it")),
}


@pytest.mark.parametrize("case", WRONG_CAMPAIGNS)
def test_a_wrong_campaign_is_refused_with_file_line_and_what_to_write(
    campaign: Path, tmp_path: Path, case: str
) -> None:
    right, wrong, expected = WRONG_CAMPAIGNS[case]
    campaign.write_text(CAMPAIGN.replace(right, wrong))
    result = cnibench("run", str(campaign), "--store", str(tmp_path / "results"))
    assert result.returncode == 2, result.stderr
    assert "quick.yaml:" in result.stderr
    for text in expected:
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "results").exists(), "nothing may be started"


def test_a_missing_campaign_file_is_named(tmp_path: Path) -> None:
    result = cnibench("plan", str(tmp_path / "nowhere.yaml"))
    assert result.returncode == 2
    assert "nowhere.yaml" in result.stderr


def test_a_store_that_is_a_file_is_refused_before_anything_runs(
    campaign: Path, tmp_path: Path
) -> None:
    store = tmp_path / "file"
    store.write_text("mine")
    result = cnibench("run", str(campaign), "--store", str(store))
    assert (result.returncode, store.read_text()) == (2, "mine")
    assert str(store) in result.stderr


def test_a_store_of_a_newer_schema_is_refused_and_left_alone(
    campaign: Path, tmp_path: Path
) -> None:
    store = tmp_path / "results"
    open_store(str(store))
    marker = store / "cnibench-store.json"
    marker.write_text(json.dumps({"schema": 99}))
    result = cnibench("run", str(campaign), "--store", str(store))
    assert result.returncode == 2
    assert "99" in result.stderr
    assert json.loads(marker.read_text()) == {"schema": 99}


def test_without_root_the_command_says_what_is_missing() -> None:
    program = (
        "import os; from steps.lib.models import TargetSpec; "
        "from steps.lib.targets import open_target; "
        "target = open_target(TargetSpec(kind='namespaces', name='cli')); "
        "os.seteuid(65534); print(target.missing_requirements())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "run as root" in found.stdout


def test_tools_that_were_not_set_up_are_an_error_that_says_how(
    campaign: Path, tmp_path: Path
) -> None:
    result = cnibench("plan", str(campaign), CNIBENCH_TOOLS=str(tmp_path / "nothing"))
    assert result.returncode == 2
    assert "make setup" in result.stderr


def test_the_machines_own_tools_are_refused_with_their_package_or_the_version_that_fits(
    campaign: Path, tmp_path: Path
) -> None:
    """A script stands for an older iperf3, which this machine does not have."""
    old = tmp_path / "iperf3"
    old.write_text("#!/bin/sh\necho iperf 3.12\n")
    old.chmod(0o755)
    path = f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"
    result = cnibench("plan", str(campaign), "--tools", "host", PATH=path)
    assert result.returncode == 2
    assert "iperf3 says 'iperf 3.12', needed is 3.18" in result.stderr


def test_brackets_in_an_error_are_shown_as_they_are(tmp_path: Path) -> None:
    result = cnibench("sql", "select '[/x]' from nowhere", "--store", str(tmp_path))
    assert result.returncode == 2
    assert "select '[/x]' from nowhere" in result.stderr


def test_a_plan_shows_cells_time_traffic_and_the_detectable_difference(
    campaign: Path, tmp_path: Path
) -> None:
    result = cnibench("plan", str(campaign), "--store", str(tmp_path / "none"), "--cells")
    assert result.returncode == 0, result.stderr
    for text in ("cross-node.tcp-1", "wall time: about", "at stated rates", "one block has no"):
        assert text in result.stdout
    assert not (tmp_path / "none").exists(), "a plan writes nothing"


def test_a_plan_says_why_cells_will_not_run_and_which(campaign: Path, tmp_path: Path) -> None:
    of = CAMPAIGN.replace("[host-network]", "[host-network, macvlan]")
    campaign.write_text(of.replace("matrix: demo", "matrix: every-path"))
    result = cnibench("plan", str(campaign), "--store", str(tmp_path / "none"))
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stdout.splitlines() if line.startswith("unsupported: ")]
    assert told[0].startswith("unsupported: 8 cells (hairpin, ")
    assert told[0].endswith("pod-service): the embedded target has no Services")
    assert any(
        line.startswith("unsupported: 1 cells (macvlan; external-service): ") for line in told
    )


@pytest.mark.parametrize("question", ["fastest-plugin", "coverage"])
def test_asking_an_empty_store_says_that_it_is_empty(tmp_path: Path, question: str) -> None:
    result = cnibench("ask", question, "--store", str(tmp_path))
    assert result.returncode == 2
    assert "holds no campaign" in result.stderr


def test_an_unknown_question_names_the_nearest() -> None:
    result = cnibench("ask", "fastest-plugn")
    assert result.returncode == 2


def test_sql_answers_in_json(tmp_path: Path) -> None:
    result = cnibench(
        "sql",
        "select 1 as one, count(*) as n from measurements",
        "--store",
        str(tmp_path),
        "--format",
        "json",
    )
    assert json.loads(result.stdout) == [{"one": 1, "n": 0}]


def test_wrong_sql_shows_the_place(tmp_path: Path) -> None:
    result = cnibench("sql", "select nonsense from measurements", "--store", str(tmp_path))
    assert result.returncode == 2
    assert "nonsense" in result.stderr


def test_the_catalog_is_valid() -> None:
    result = cnibench("catalog", "--validate")
    assert result.returncode == 0, result.stderr
    assert "valid: " in result.stdout


def test_every_verb_has_its_help() -> None:
    for command in app.registered_commands:
        assert command.callback and command.callback.__doc__, f"{command.name} lacks its help"
        verb = command.name or command.callback.__name__
        result = CliRunner().invoke(app, [verb, "--help"])
        assert result.exit_code == 0, result.output
        assert command.callback.__doc__.split()[0] in result.output
