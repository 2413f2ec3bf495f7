import copy
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hera.workflows import WorkflowTemplate
from ruamel.yaml import YAML

from steps.lib import generated, pod
from steps.lib import stage as stages
from steps.pipeline import BLOCK
from tests.argo import LEAVES, parameters, reference_problems, rendered, tasks, templates
from workflows.block import block_template
from workflows.campaign import campaign_template, plugin_template
from workflows.parts import FOLLOWED, STARTING
from workflows.render import COMMAND, RENDERED, main, render_all

TEMPLATES = {
    "block.yaml": block_template,
    "campaign.yaml": campaign_template,
    "plugin.yaml": plugin_template,
}

PATCHED = {"run-cells": {"annotations"}}
"""Fields set on templates after Hera, since it would put them elsewhere (on the pod)."""


def test_the_committed_manifests_are_what_the_code_renders() -> None:
    assert not generated.drift(render_all(), RENDERED), f"run: {COMMAND}"


def test_rendering_twice_gives_the_same_text() -> None:
    assert render_all() == render_all()


def test_check_shows_the_difference_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generated.write(render_all(), tmp_path)
    stale = tmp_path / "block.yaml"
    stale.write_text(stale.read_text().replace("parallelism: 1", "parallelism: 2", 1))
    (tmp_path / "gone.yaml").write_text("a: 1\n")
    before = stale.read_text()
    monkeypatch.setattr("workflows.render.RENDERED", tmp_path)
    assert main(["--check"]) == 1
    shown = capsys.readouterr().err
    assert "-  parallelism: 2" in shown
    assert "+  parallelism: 1" in shown
    assert "-a: 1" in shown
    assert COMMAND in shown
    assert stale.read_text() == before
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert not (tmp_path / "gone.yaml").exists()


def test_importing_writes_nothing() -> None:
    before = {p: p.stat().st_mtime_ns for p in RENDERED.iterdir()}
    subprocess.run([sys.executable, "-W", "error", "-c", "import workflows.render"], check=True)
    assert {p: p.stat().st_mtime_ns for p in RENDERED.iterdir()} == before


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_text_means_the_document_also_to_parsers_of_yaml_1_1(name: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    assert yaml.load((RENDERED / name).read_text()) == TEMPLATES[name]()


@pytest.mark.parametrize("name", TEMPLATES)
def test_hera_knows_every_field(name: str) -> None:
    document = TEMPLATES[name]()
    known: dict[str, Any] = copy.deepcopy(document)
    for template in known["spec"]["templates"]:
        for field in PATCHED.get(template["name"], ()):
            del template[field]
    read: Any = WorkflowTemplate.from_dict(known)
    assert read.to_dict() == known


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_reference_resolves(name: str) -> None:
    assert reference_problems(rendered(name)) == []


def test_a_reference_to_nothing_is_found() -> None:
    document = rendered("block.yaml")
    dag = templates(document)["block"]["dag"]
    dag["tasks"][1]["depends"] = "preflght.Succeeded"
    dag["tasks"][2]["template"] = "verify"
    dag["tasks"][5]["withParam"] = "{{tasks.plan-cells.outputs.parameters.cell}}"
    dag["target"] += " nothing"
    document["spec"]["onExit"] = "restor"
    assert sorted(reference_problems(document)) == [
        "block: install-plugin depends on preflght",
        "block: no target nothing",
        "block: no template verify",
        "block: tasks.plan-cells.outputs.parameters.cell is not there",
        "spec: no template restor",
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_leaf_has_a_deadline_and_only_leaves_are_retried(name: str) -> None:
    for template in templates(rendered(name)).values():
        leaf = any(kind in template for kind in LEAVES)
        assert ("activeDeadlineSeconds" in template) == leaf, template["name"]
        assert leaf or "retryStrategy" not in template


def test_the_block_runs_the_declared_stages_in_their_order_one_at_a_time() -> None:
    document = rendered("block.yaml")
    block = templates(document)["block"]
    assert list(tasks(block)) == [stage.name for stage in BLOCK]
    assert block["dag"]["failFast"] is False
    assert block["parallelism"] == document["spec"]["parallelism"] == 1
    for before, task in zip(BLOCK, list(tasks(block).values())[1:], strict=False):
        assert f"{before.name}.Succeeded" in task["depends"]


def test_only_tuning_is_left_out_and_only_where_there_is_nothing_to_tune() -> None:
    document = rendered("block.yaml")
    in_dag = tasks(templates(document)["block"])
    conditions = {name: task["when"] for name, task in in_dag.items() if "when" in task}
    tuned = "{{tasks.preflight.outputs.parameters.tunes}} == true"
    assert conditions == {"tune-nodes": tuned, "restore-nodes": tuned}
    assert in_dag["plan-cells"]["depends"] == "tune-nodes.Succeeded || tune-nodes.Skipped"
    handler = tasks(templates(document)["restore"])
    assert {task["when"] for task in handler.values()} == {"{{workflow.status}} != Succeeded"}


@pytest.mark.parametrize("dag", ["block", "restore"])
def test_what_puts_things_back_runs_whatever_happened_before(dag: str) -> None:
    in_dag = tasks(templates(rendered("block.yaml"))[dag])
    names = list(in_dag)
    for stage in (s for s in BLOCK if s.always):
        before = names[: names.index(stage.name)]
        if before:
            for state in ("Succeeded", "Failed", "Errored", "Skipped", "Omitted"):
                assert f"{before[-1]}.{state}" in in_dag[stage.name]["depends"]


def test_a_failed_stage_fails_the_block_although_the_last_one_succeeds() -> None:
    for dag in ("block", "restore"):
        template = templates(rendered("block.yaml"))[dag]
        assert template["dag"]["target"].split() == list(tasks(template))


def test_the_exit_handler_is_what_puts_things_back_and_the_lock_spans_it() -> None:
    document = rendered("block.yaml")
    spec = document["spec"]
    restore = templates(document)[spec["onExit"]]
    assert list(tasks(restore)) == [stage.name for stage in BLOCK if stage.always]
    name = "{{=jsonpath(workflow.parameters.target, '$.name')}}"
    lock = {"mutexes": [{"name": f"target-{name}"}]}
    assert spec["synchronization"] == lock
    assert not any("synchronization" in t for t in spec["templates"])


def test_a_group_of_cells_is_shown_under_its_own_name() -> None:
    annotations = templates(rendered("block.yaml"))["run-cells"]["annotations"]
    assert annotations == {"workflows.argoproj.io/display-name": "{{inputs.parameters.group}}"}


@pytest.mark.parametrize(
    ("parent", "leaf", "child"),
    [("campaign.yaml", "run-block", "block.yaml"), ("plugin.yaml", "run-block", "block.yaml")],
)
def test_a_workflow_starts_another_with_all_that_it_asks_for(
    parent: str, leaf: str, child: str
) -> None:
    resource = templates(rendered(parent))[leaf]["resource"]
    quoted = resource["manifest"].replace("{{=", '"').replace("}}\n", '"\n')
    spec = YAML(typ="safe").load(quoted)["spec"]
    started = rendered(child)
    assert spec["workflowTemplateRef"]["name"] == started["metadata"]["name"]
    given = [p["name"] for p in spec["arguments"]["parameters"]]
    assert given == [p["name"] for p in started["spec"]["arguments"]["parameters"]]
    assert resource["successCondition"] == "status.phase == Succeeded"
    assert resource["failureCondition"] == "status.phase in (Failed, Error)"


@pytest.mark.parametrize("name", ["campaign.yaml", "plugin.yaml"])
def test_a_failed_block_does_not_stop_the_campaign_and_no_two_run_at_once(name: str) -> None:
    document = rendered(name)
    campaign = templates(document)["campaign"]
    assert campaign["dag"]["failFast"] is False
    assert campaign["parallelism"] == document["spec"]["parallelism"] == 1
    block_lock = rendered("block.yaml")["spec"]["synchronization"]
    assert document["spec"]["synchronization"] != block_lock, "they would wait for each other"


def test_service_accounts_exist() -> None:
    documents = list(YAML(typ="safe").load_all((RENDERED / "access.yaml").read_text()))
    accounts = {d["metadata"]["name"] for d in documents if d["kind"] == "ServiceAccount"}
    specs = [rendered(name)["spec"] for name in TEMPLATES]
    users = [*specs, *(template for spec in specs for template in spec["templates"])]
    assert accounts >= {u["serviceAccountName"] for u in users if "serviceAccountName" in u}
    assert all("serviceAccountName" in spec for spec in specs)


def test_the_base_holds_every_manifest() -> None:
    resources = YAML(typ="safe").load((RENDERED / "kustomization.yaml").read_text())["resources"]
    others = {p.name for p in RENDERED.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(resources) == others


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("the server could not find the requested resource", True),
        (
            'workflows.argoproj.io "x-y" is forbidden: User "system:serviceaccount:argo:c" '
            'cannot get resource "workflows" in API group "argoproj.io" in the namespace "argo"',
            True,
        ),
        ('workflows.argoproj.io "x-y" not found', False),
    ],
)
def test_a_campaign_waits_on_while_an_api_server_starts_and_not_for_what_is_gone(
    said: str, passes: bool
) -> None:
    assert bool(re.search(STARTING, said)) == passes


@pytest.mark.parametrize("name", ["campaign.yaml", "plugin.yaml"])
def test_a_block_that_is_lost_from_sight_is_followed_again_and_is_the_same_one(name: str) -> None:
    leaf = templates(rendered(name))["run-block"]
    assert leaf["retryStrategy"]["expression"] == f"not (lastRetry.message matches '{FOLLOWED}')"
    over = "failure condition '{status.phase in [Failed Error]}' evaluated true"
    assert re.search(FOLLOWED, over)
    assert re.search(FOLLOWED, "Pod was active on the node longer than the specified deadline")
    for lost in ("pod deleted", "context canceled", "OOMKilled (exit code 137)", "evicted"):
        assert not re.search(FOLLOWED, lost)
    assert leaf["resource"]["action"] == "apply"
    assert "generateName" not in leaf["resource"]["manifest"]
    assert list(parameters(leaf, "inputs")) == ["block"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_runs_in_place_of_what_is_tried_again(name: str) -> None:
    """Argo begins the next item of a fan-out while one waits to be tried again."""
    for template in templates(rendered(name)).values():
        assert "backoff" not in template.get("retryStrategy", {})


@pytest.mark.parametrize("retries", [None, "0", "1", "2"])
def test_a_pod_pauses_before_it_is_tried_again_and_not_at_its_last_try(
    monkeypatch: pytest.MonkeyPatch, retries: str | None
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.delenv(pod.RETRIES, raising=False)
    if retries is not None:
        monkeypatch.setenv(pod.RETRIES, retries)
    stages.pause()
    assert slept == {"0": [10.0], "1": [120.0]}.get(retries or "", [])


def test_no_deadline_ends_a_pause() -> None:
    longest_s = max(stages.PAUSES_S)
    for name in TEMPLATES:
        for template in templates(rendered(name)).values():
            if "script" in template and "retryStrategy" in template:
                assert template["activeDeadlineSeconds"] >= 2 * longest_s
