"""The management cluster runs real workflows, and its store keeps what they leave."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from minio.error import S3Error

from lab import credentials, management, status
from lab.layout import ARGO, STORE
from lab.programs import image
from steps.lib.store.s3 import S3Store, settings_from_environment
from tests.lab.labs import MGMT, call, pids, run, wait_until
from tests.lab.on_argo.argo import Argo, Document, messages, nodes

pytestmark = pytest.mark.lab


@pytest.fixture
def results(argo: Argo) -> Iterator[S3Store]:
    """The store of results, as cnibench opens it from this machine."""
    with argo.at_hand():
        yield S3Store("cnibench", "", settings_from_environment())


def stage(source: str, script: Document | None = None, **more: Any) -> Document:
    """A template of one stage, which is some Python in the step image."""
    image_of_step = image("docker.io/cnibench/step")
    described = {"image": image_of_step, "command": ["python"], "source": source}
    template = {"name": "main", "script": described | (script or {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "trial"},
        "spec": {"entrypoint": "main", "templates": [template], **more},
    }


def log_of(argo: Argo, template: Document) -> str:
    """Run a template, which must succeed; its log as the store has it."""
    argo.kubectl("apply", "--namespace=argo", "--filename=-", given=json.dumps(template))
    ended = argo.end(argo.submit("trial"))
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    (node,) = nodes(ended, "main")
    return argo.artifact(ended, node, "main-logs").data.decode()


def pods(argo: Argo) -> dict[str, str]:
    """Identity of each pod of Argo and of the store."""
    told = argo.kubectl("get", "pods", "--all-namespaces", "--output=json")
    found = [pod["metadata"] for pod in json.loads(told)["items"]]
    wanted = ("argo-server-", "workflow-controller-", "minio-")
    return {p["name"]: p["uid"] for p in found if p["name"].startswith(wanted)}


def test_a_stage_is_nobody_in_particular_has_what_it_needs_and_its_log_is_kept(argo: Argo) -> None:
    source = """
import os, duckdb, hera.workflows.runner, steps.pipeline, workflows
from steps.lib import catalog, sources, tools
print(os.getuid())
print(tools.toolbox(), tools.toolbox_digest(tools.toolbox()))
plugins = [catalog.Catalog().plugins.load(n) for n in catalog.Catalog().plugins.names]
origins = [o for p in plugins for o in catalog.origins(p) if o.digest]
print(sum((sources.mirror() / o.digest.removeprefix("sha256:")).exists() for o in origins) > 2)
"""
    read_only = {
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    template = stage(source, script=read_only, volumes=[{"name": "tmp", "emptyDir": {}}])
    user, box, mirror = log_of(argo, template).splitlines()
    assert user == "8737"
    assert re.fullmatch("/ [0-9a-f]{64}", box)
    assert mirror == "True"


def test_only_what_is_installed_can_be_started(argo: Argo) -> None:
    """Who may create workflows could else run any program with the rights of a stage."""
    template = stage("pass")
    own = template | {"kind": "Workflow", "metadata": {"generateName": "own-"}}
    made = argo.request("POST", "/api/v1/workflows/argo", {"workflow": own})
    ended = argo.end(made["metadata"]["name"]) if made["status_code"] == 200 else made
    assert "workflowTemplateRef" in json.dumps(ended.get("status", ended))
    assert nodes(ended, "main") == []


def test_nobody_but_the_controller_says_what_a_workflow_was_made_from(argo: Argo) -> None:
    """Argo runs what the status has stored, whatever template the workflow names."""
    template = stage("pass")
    argo.kubectl("apply", "--namespace=argo", "--filename=-", given=json.dumps(template))
    forged = template | {
        "kind": "Workflow",
        "metadata": {"generateName": "forged-"},
        "spec": {"workflowTemplateRef": {"name": "trial"}},
        "status": {"storedWorkflowTemplateSpec": stage("print('forged')")["spec"]},
    }
    made = argo.request("POST", "/api/v1/workflows/argo", {"workflow": forged})
    assert made["status_code"] != 200
    assert "written by Argo's controller only" in json.dumps(made)


def test_results_are_written_once_and_stay(results: S3Store) -> None:
    assert results.create("trial/one", b"first")
    assert not results.create("trial/one", b"second")
    assert results.read("trial/one") == b"first"
    assert [found.key for found in results.objects("trial/")] == ["trial/one"]
    with pytest.raises(S3Error, match="AccessDenied"):
        results.client.remove_object("cnibench", "trial/one")
    with pytest.raises(S3Error, match="AccessDenied"):
        list(results.client.list_objects("argo"))


def test_what_is_stored_outlives_the_pod(argo: Argo, results: S3Store) -> None:
    results.create("trial/kept", b"kept")
    (pod,) = (name for name in pods(argo) if name.startswith("minio-"))
    argo.kubectl("--namespace=minio", "delete", "pod", pod)
    wait_until(lambda: management.complaint(argo.lab, MGMT, STORE) is None)
    assert results.read("trial/kept") == b"kept"


def test_nobody_without_a_token_sees_workflows(argo: Argo) -> None:
    answer = urllib3.request("GET", f"{argo.lab.url_of(ARGO)}/api/v1/workflows/argo", timeout=10)
    assert answer.status == 401


def test_status_says_where_both_are(argo: Argo) -> None:
    done = call(argo.lab, "status")
    assert done.returncode == status.UP, done.stdout
    file = credentials.environment_file(argo.lab, MGMT)
    assert file.stat().st_mode & 0o777 == 0o600
    for text in (argo.lab.url_of(ARGO), argo.lab.url_of(STORE), f"source {file}"):
        assert text in done.stdout


def test_another_up_changes_nothing(argo: Argo) -> None:
    before = pods(argo), pids(argo.lab)
    run(argo.lab, "up")
    assert (pods(argo), pids(argo.lab)) == before
