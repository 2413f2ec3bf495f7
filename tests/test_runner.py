"""The rendered block, run as pods would: one process a stage, by Hera's runner."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.lib import pod
from steps.lib.catalog import CATALOG, Job
from steps.lib.database import open_database
from steps.lib.manifest import register
from steps.lib.models import TargetSpec
from steps.lib.settle import release
from steps.lib.store import open_store
from steps.lib.targets import open_target
from tests.argo import Document, parameters, rendered, tasks, templates
from tests.jobs import RR, TCP, job, matrix
from tests.store_rows import measurement, put_campaign, put_measurement

if TYPE_CHECKING:
    from tests.seaweedfs import S3Server

pytest_plugins = ["tests.seaweedfs"]
pytestmark = pytest.mark.namespaces

TARGET = "runner"


@dataclass
class Pods:
    """Runs tasks of a rendered workflow in the order of the DAG, one process each."""

    document: Document
    folder: Path
    known: dict[str, str]
    catalog: Path = CATALOG
    on_argo: bool = True
    ended: list[tuple[str, int]] = field(default_factory=list)
    stderr: str = ""

    def run(self, dag: str, *only: str) -> None:
        """Every task of the DAG that is wanted, or only these."""
        for name, task in tasks(templates(self.document)[dag]).items():
            if name not in only if only else not self.is_wanted(task):
                continue
            if "withParam" not in task:
                self.run_task(task, None)
                continue
            for item in json.loads(self.resolved(task["withParam"])):
                self.run_task(task, item)

    def is_wanted(self, task: Document) -> bool:
        """What its condition says."""
        left, operator, right = self.resolved(task.get("when", "true == true")).split()
        return (left == right) == (operator == "==")

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
        environment["CNIBENCH_CATALOG"] = str(self.catalog)
        environment["ARGO_PROGRESS_FILE"] = str(self.folder / "progress")
        # Images carry bytecode; here the processes share theirs, or each would compile everything.
        environment["PYTHONDONTWRITEBYTECODE"] = ""
        environment["PYTHONPYCACHEPREFIX"] = str(self.folder.parent / "bytecode")
        # As at its last try: before others a pod waits.
        environment[pod.RETRIES] = "2"
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
    """The pods of a block of a campaign that is registered already."""
    target = of.campaign.target
    register(of, open_target(target), open_store(str(folder / "store")))
    given = {
        "campaign": of.campaign.name,
        "store": str(folder / "store"),
        "target": target.model_dump_json(),
        "holder": "",
    } | more
    known = {f"workflow.parameters.{name}": value for name, value in given.items()}
    return Pods(rendered(document), folder, known | {"workflow.status": "Failed"})


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
    needed = [name for name in names if name not in ("tune-nodes", "restore-nodes")]
    assert pods.ended == [(name, 0) for name in needed], pods.stderr
    assert rows(tmp_path, "select cell, status, reason from measurements order by cell") == [
        ("cross-node.tcp-1", "ok", None),
        ("cross-node.tcp-rr", "ok", None),
    ]
    found = rows(tmp_path, "select status, reason, tune_s, restore_s from blocks")
    assert found == [("ok", None, None, None)], "nothing was to be tuned"
    kept = rows(tmp_path, "select distinct len(map_keys(settings)) > 5 from nodes")
    assert kept == [(True,)], "what is always recorded is so without tuning, too"
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


def test_a_block_of_which_a_pod_was_killed_is_not_ok(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.run("block", "preflight", "install-plugin", "verify-plugin", "plan-cells")
    pods.run("restore")
    ((status, reason),) = rows(tmp_path, "select status, reason from blocks")
    assert (status, reason[:34]) == ("failed", "it was ended before 2 cells were r")


def test_a_group_of_cells_shows_how_far_it_is(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.run("block")
    assert (tmp_path / "progress").read_text() == "2/2"
    groups = pods.known["tasks.plan-cells.outputs.parameters.groups"]
    assert json.loads(groups) == ["cells-1-2-of-2"]


# ---------- forms
@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The real catalog, with a target that this machine can be."""
    shutil.copytree(CATALOG, tmp_path / "catalog")
    target = f"name: {TARGET}\nkind: namespaces\n"
    (tmp_path / "catalog" / "targets" / f"{TARGET}.yaml").write_text(target)
    return tmp_path / "catalog"


@pytest.fixture
def bucket(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a store in a bucket, which pods find by their environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.new_bucket()}"


def form_of(form: str, folder: Path, catalog: Path, /, **chosen: str) -> Pods:
    """A form as it is offered, with what a person chose in it."""
    document = rendered(form)
    offered = parameters(document["spec"], "arguments").items()
    filled = {name: field["value"] for name, field in offered}
    unknown = chosen.keys() - filled
    assert not unknown, f"the form has no {unknown}"
    filled |= {"target": TARGET} | chosen
    known = {f"workflow.parameters.{name}": value for name, value in filled.items()}
    return Pods(document, folder, known | {"workflow.name": "cnibench-x7k2p"}, catalog)


def test_a_form_registers_its_campaign_and_lists_the_blocks_that_lack_measurements(
    tmp_path: Path, catalog: Path, bucket: str
) -> None:
    chosen = {"plugin": "bridge-routes", "repeats": "2", "store": bucket}
    pods = form_of("plugin.yaml", tmp_path, catalog, **chosen)
    pods.run("campaign", "plan-blocks")
    assert pods.ended == [("plan-blocks", 0)], pods.stderr
    put_out = {n.rpartition(".")[2]: text for n, text in pods.known.items() if "outputs" in n}
    assert json.loads(put_out["blocks"]) == ["bridge-routes.base.r1", "bridge-routes.base.r2"]
    assert put_out["campaign"] == "cnibench-x7k2p", "it was given no name"
    assert TargetSpec.model_validate_json(put_out["where"]).name == TARGET
    registered = open_database(open_store(bucket)).execute("select campaign from campaigns")
    assert registered.fetchall() == [("cnibench-x7k2p",)]


def test_a_campaign_is_collected_by_its_own_stage_and_once(
    tmp_path: Path, catalog: Path, bucket: str
) -> None:
    store = open_store(bucket)
    put_campaign(store)
    for cell in ("one", "two"):
        put_measurement(store, measurement(cell))
    pods = form_of("plugin.yaml", tmp_path, catalog, store=bucket)
    pods.known["tasks.plan-blocks.outputs.parameters.campaign"] = "demo"
    for objects in ("6", "0"):
        pods.run("campaign", "collect-campaign")
        assert pods.ended[-1] == ("collect-campaign", 0), pods.stderr
        assert pods.known["tasks.collect-campaign.outputs.parameters.collected"] == objects
    tables = {stored.key.split("/")[1] for stored in store.objects("collected/")}
    assert tables == {"measurements", "intervals", "histograms"}


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("plugins", "macvlan, bridge-route", "'bridge-route' is not in the catalog; did you mean"),
        ("repeats", "many", "repeats: expected a whole number, found 'many'"),
        ("repeats", "0", "repeats: "),
        ("repeats", "9" * 10_000, "repeats: "),
        ("seed", "-1", "seed: "),
        ("matrix", "../lab", "matrix: "),
        ("name", "Lab 'x\n", "name: "),
        ("name", "{{workflow.uid}}", "name: "),
        ("name", "x" * 10_000, "name: "),
        ("store", "s3://", "store"),
        ("store", "results", "'results' is no bucket; write s3://bucket/name"),
        ("target", "../lab", "no such file"),
    ],
)
def test_a_field_of_a_form_that_is_wrong_is_said_in_words(
    tmp_path: Path, catalog: Path, field: str, typed: str, said: str
) -> None:
    pods = form_of("campaign.yaml", tmp_path, catalog, **{"plugins": "macvlan"} | {field: typed})
    pods.run("campaign", "plan-blocks")
    assert pods.ended == [("plan-blocks", 2)]
    assert said in pods.stderr
    assert "Traceback" not in pods.stderr


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
    unknown = pods_of(small, tmp_path, block="bridge-routes.base.r1", campaign="other")
    unknown.run("block", "preflight")
    assert unknown.ended == [("preflight", 2)]
    assert "campaign 'other' is not registered in store" in unknown.stderr


def test_outside_of_argo_the_error_is_raised_as_it_is(small: Job, tmp_path: Path) -> None:
    pods = pods_of(small, tmp_path, block="bridge-routes.base.r1")
    pods.on_argo = False
    pods.run("block", "tune-nodes")
    assert pods.ended == [("tune-nodes", 1)]
    assert "OwnershipError" in pods.stderr
