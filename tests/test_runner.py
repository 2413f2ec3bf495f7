"""The rendered block, run as pods would: one process a stage, by Hera's runner."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from steps.lib.catalog import Catalog, Job
from steps.lib.database import open_database
from steps.lib.settle import release
from steps.lib.store import open_store
from steps.lib.targets import open_target
from tests.argo import Document, parameters, rendered, tasks, templates
from tests.jobs import RR, TCP, job, matrix

pytestmark = pytest.mark.namespaces

TARGET = "runner"


@dataclass
class Pods:
    """Runs tasks of a rendered workflow in the order of the DAG, one process each."""

    document: Document
    folder: Path
    known: dict[str, str]
    on_argo: bool = True
    ended: list[tuple[str, int]] = field(default_factory=list)
    stderr: str = ""

    def run(self, dag: str, *only: str) -> None:
        """Every task of the DAG, or only these."""
        for name, task in tasks(templates(self.document)[dag]).items():
            if only and name not in only:
                continue
            items = json.loads(self.resolved(task["withParam"])) if "withParam" in task else [None]
            for item in items:
                self.run_task(task, item)

    def run_task(self, task: Document, item: str | None) -> None:
        """One pod: what it puts out is known afterwards."""
        template = templates(self.document)[task["template"]]
        given = parameters(task, "arguments")
        arguments = [
            {"name": n, "value": self.resolved(given[n]["value"], item)}
            for n in parameters(template, "inputs")
        ]
        outputs = self.folder / f"{task['name']}-{len(self.ended)}"
        self.ended.append((task["name"], self.process(template["script"], arguments, outputs)))
        for name, output in parameters(template, "outputs").items():
            path = outputs / Path(output["valueFrom"]["path"]).relative_to("/tmp/hera-outputs")
            if path.exists():
                self.known[f"tasks.{task['name']}.outputs.parameters.{name}"] = path.read_text()

    def process(self, script: Document, arguments: Any, outputs: Path) -> int:
        """The container's command with its arguments; its exit status."""
        assert script["source"] == "{{inputs.parameters}}"
        source = outputs.with_suffix(".json")
        source.write_text(json.dumps(arguments))
        environment = os.environ | {e["name"]: e["value"] for e in script["env"]}
        environment["hera__outputs_directory"] = str(outputs)
        # Images carry bytecode; here the processes share theirs, or each would compile everything.
        environment["PYTHONDONTWRITEBYTECODE"] = ""
        environment["PYTHONPYCACHEPREFIX"] = str(self.folder.parent / "bytecode")
        if self.on_argo:
            environment["ARGO_NODE_ID"] = "node"
        assert script["command"] == ["python"]
        done = subprocess.run(
            [sys.executable, "-W", "error", *script["args"], str(source)],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.stderr = done.stderr
        return done.returncode

    def resolved(self, text: str, item: str | None = None) -> str:
        """A text with its references replaced; one to nothing is an error."""
        known = self.known if item is None else self.known | {"item": item}
        return re.sub(r"\{\{([^}]+)\}\}", lambda found: known[found[1]], text)


def pods_of(of: Job, folder: Path, document: str = "block.yaml", **more: str) -> Pods:
    store = str(folder / "store")
    given = {"job": of.model_dump_json(), "store": store, "target": TARGET} | more
    known = {f"workflow.parameters.{name}": value for name, value in given.items()}
    return Pods(rendered(document), folder, known)


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the store answers."""
    return open_database(open_store(str(folder / "store"))).execute(statement).fetchall()


@pytest.fixture
def small() -> Iterator[Job]:
    """One plugin, untuned, two short cells; its target is gone afterwards."""
    of = job(("bridge-routes",), of=matrix(TCP, RR), target=TARGET)
    yield of
    release(open_target(of.campaign.target))


def test_the_stages_of_a_block_end_with_rows_in_the_store(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.run("block")
    names = list(tasks(templates(pods.document)["block"]))
    cell = names.index("run-cell")
    expected = [*names[: cell + 1], *names[cell:]]
    assert pods.ended == [(name, 0) for name in expected], pods.stderr
    assert rows(tmp_path, "select cell, status, reason from measurements order by cell") == [
        ("cross-node.tcp-1", "ok", None),
        ("cross-node.tcp-rr", "ok", None),
    ]
    assert rows(tmp_path, "select status, reason from blocks") == [("ok", None)]
    assert pods.known["tasks.collect.outputs.parameters.status"] == "ok"
    again = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    again.run("restore")
    assert {status for _, status in again.ended} == {0}, "nothing to put back is no failure"
    assert rows(tmp_path, "select count(*) from blocks") == [(1,)]


def test_a_block_that_is_stopped_is_put_back_by_the_exit_handler(
    small: Job, tmp_path: Path
) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.run("block", "preflight", "install-plugin")
    pods.run("restore")
    assert {status for _, status in pods.ended} == {0}, pods.stderr
    assert open_target(small.campaign.target).load_state() is None
    assert rows(tmp_path, "select residue from blocks") == [([],)]


def test_a_campaign_lists_the_blocks_that_lack_measurements(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, "campaign.yaml")
    pods.run("campaign", "plan-blocks")
    assert pods.ended == [("plan-blocks", 0)], pods.stderr
    blocks = pods.known["tasks.plan-blocks.outputs.parameters.blocks"]
    assert json.loads(blocks) == ["bridge-routes.base.r1"]


def test_the_form_makes_the_job_of_a_campaign(tmp_path: Path) -> None:
    form = rendered("form.yaml")
    given = {"name": "typed", "store": "unused", "target": TARGET}
    offered = parameters(form["spec"], "arguments").items()
    typed = given | {name: field["value"] for name, field in offered if "value" in field}
    typed["context"] = "cluster"  # What a form for kubernetes leaves to be typed.
    pods = Pods(form, tmp_path, {f"workflow.parameters.{n}": v for n, v in typed.items()})
    pods.run("form", "make-job")
    assert pods.ended == [("make-job", 0)], pods.stderr
    made = Job.model_validate_json(pods.known["tasks.make-job.outputs.parameters.job"])
    assert made.campaign.name == "typed"
    assert [p.name for p in made.plugins] == list(Catalog().plugins.names)
    pods.known["workflow.parameters.plugins"] = "macvlan, bridge-route"
    pods.run("form", "make-job")
    assert pods.ended[1] == ("make-job", 2)
    assert "'bridge-route' is not in the catalog; did you mean 'bridge-routes'?" in pods.stderr


def test_a_stage_that_fails_ends_with_the_exit_status_of_its_error(
    small: Job, tmp_path: Path
) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.run("block", "tune-nodes")
    assert pods.ended == [("tune-nodes", 80)]
    assert "held by nobody" in pods.stderr
    wrong = pods_of(small, tmp_path, block="no.such.block")
    wrong.run("block", "preflight")
    assert wrong.ended == [("preflight", 2)]
    assert "has no block 'no.such.block'" in wrong.stderr


def test_outside_of_argo_the_error_is_raised_as_it_is(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.on_argo = False
    pods.run("block", "tune-nodes")
    assert pods.ended == [("tune-nodes", 1)]
    assert "OwnershipError" in pods.stderr
