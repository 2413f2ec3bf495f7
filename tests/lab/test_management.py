"""The management cluster runs real workflows, and its store keeps what they leave."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from lab import credentials, management, status
from lab.layout import ARGO, STORE, Lab
from lab.programs import image, program
from steps.lib.store.s3 import S3Store, settings_from_environment
from steps.lib.targets.namespaces.programs import output
from tests.lab.labs import MGMT, call, pids, run, wait_until

pytestmark = pytest.mark.lab

LAB = Lab(name="argo", port=31443)
"""A lab of these tests' own, with both clusters."""


@pytest.fixture(scope="module", autouse=True)
def up() -> Iterator[None]:
    run(LAB, "down")
    run(LAB, "up")
    yield
    if os.environ.get("CNIBENCH_LAB_KEEP") != "1":
        run(LAB, "down")


@pytest.fixture
def environment() -> dict[str, str]:
    """What a person's shell has after it has read the file that `status` names."""
    file = credentials.environment_file(LAB, MGMT)
    assert file.stat().st_mode & 0o777 == 0o600
    return dict(re.findall(r"^export (\w+)='(.*)'$", file.read_text(), re.MULTILINE))


@pytest.fixture
def results(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """The store of results, as cnibench opens it from this machine."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return S3Store("cnibench", "", settings_from_environment())


def argo(environment: dict[str, str], *arguments: str) -> str:
    """Call Argo's own program, which asks the server."""
    done = subprocess.run(
        [str(program("argo")), *arguments],
        env=environment | {"HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def step(source: str, **more: Any) -> dict[str, Any]:
    """A workflow of one stage, which is some Python in the step image."""
    script = {"image": image("docker.io/cnibench/step"), "command": ["python"], "source": source}
    template = {"name": "main", "script": script | more.pop("script", {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "trial-", "namespace": "argo"},
        "spec": {"entrypoint": "main", "templates": [template], **more},
    }


def log_of(environment: dict[str, str], folder: Path, workflow: dict[str, Any]) -> str:
    """Run a workflow, which must succeed; its log as the store has it."""
    file = folder / "workflow.json"
    file.write_text(json.dumps(workflow))
    name = argo(environment, "submit", "--wait", "--output=name", str(file)).split()[0]
    found = json.loads(argo(environment, "get", name, "--output=json"))["status"]
    assert found["phase"] == "Succeeded", found
    client = bucket_of_artifacts()
    (log,) = client.list_objects("argo", prefix=f"{name}/", recursive=True)
    with client.get_object("argo", str(log.object_name)) as response:
        return response.read().decode()


def bucket_of_artifacts() -> Minio:
    secret = credentials.of_store(LAB, MGMT)[credentials.ARTIFACTS]
    host = LAB.url_of(STORE).removeprefix("http://")
    return Minio(host, access_key=credentials.ARTIFACTS, secret_key=secret, secure=False)


def kubectl(*arguments: str) -> str:
    options = (f"--kubeconfig={LAB.kubeconfig}", "--context=cnibench-mgmt")
    return output([str(program("kubectl")), *options, *arguments])


def pods() -> dict[str, str]:
    """Identity of each pod of Argo and of the store."""
    told = kubectl("get", "pods", "--all-namespaces", "--output=json")
    found = [pod["metadata"] for pod in json.loads(told)["items"]]
    wanted = ("argo-server-", "workflow-controller-", "minio-")
    return {p["name"]: p["uid"] for p in found if p["name"].startswith(wanted)}


def test_a_stage_is_nobody_in_particular_and_its_log_is_kept(
    environment: dict[str, str], tmp_path: Path
) -> None:
    workflow = step("import os; print(os.getuid())")
    assert log_of(environment, tmp_path, workflow) == "8737\n"


def test_the_step_image_has_all_that_a_stage_needs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    source = """
import duckdb, hera.workflows.runner, steps.pipeline, workflows
from steps.lib import catalog, sources, tools
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
    workflow = step(source, script=read_only, volumes=[{"name": "tmp", "emptyDir": {}}])
    box, mirror = log_of(environment, tmp_path, workflow).splitlines()
    assert re.fullmatch("/ [0-9a-f]{64}", box)
    assert mirror == "True"


def test_a_stage_reaches_the_target(environment: dict[str, str], tmp_path: Path) -> None:
    source = """
from steps.lib.targets.kubernetes.api import connect
api = connect("cnibench-lab")
print(sorted(node.metadata.name for node in api.call(api.core.list_node).items))
"""
    mounted = {
        "env": [{"name": "KUBECONFIG", "value": "/target/kubeconfig"}],
        "volumeMounts": [{"name": "target", "mountPath": "/target"}],
    }
    volume = {"name": "target", "secret": {"secretName": "target-lab"}}
    workflow = step(source, script=mounted, volumes=[volume])
    assert log_of(environment, tmp_path, workflow) == "['n1', 'n2']\n"


def test_a_stage_reaches_the_store(environment: dict[str, str], tmp_path: Path) -> None:
    source = """
from steps.lib.store import open_store
store = open_store("s3://cnibench/stage", create=True)
print(store.create("made-by-a-stage", b"1"))
"""
    mounted = {"envFrom": [{"secretRef": {"name": "cnibench-store"}}]}
    assert log_of(environment, tmp_path, step(source, script=mounted)) == "True\n"


def test_results_are_written_once_and_stay(results: S3Store) -> None:
    assert results.create("trial/one", b"first")
    assert not results.create("trial/one", b"second")
    assert results.read("trial/one") == b"first"
    assert [found.key for found in results.objects("trial/")] == ["trial/one"]
    with pytest.raises(S3Error, match="AccessDenied"):
        results.client.remove_object("cnibench", "trial/one")
    with pytest.raises(S3Error, match="AccessDenied"):
        list(results.client.list_objects("argo"))


def test_what_is_stored_outlives_the_pod(results: S3Store) -> None:
    results.create("trial/kept", b"kept")
    (pod,) = (name for name in pods() if name.startswith("minio-"))
    kubectl("--namespace=minio", "delete", "pod", pod)
    wait_until(lambda: management.complaint(LAB, MGMT, STORE) is None)
    assert results.read("trial/kept") == b"kept"


def test_templates_run_the_image_of_this_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = step("pass") | {"kind": "WorkflowTemplate", "metadata": {"name": "trial"}}
    template["spec"]["templates"][0]["script"]["image"] = "cnibench-step"
    files = {
        "rendered/kustomization.yaml": "resources: [template.yaml]",
        "rendered/template.yaml": json.dumps(template),
        "overlays/lab/kustomization.yaml": (
            "{namespace: argo, resources: [../../rendered], configurations: [fields.yaml]}"
        ),
        "overlays/lab/fields.yaml": (
            "images: [{kind: WorkflowTemplate, path: 'spec/templates[]/script/image'}]"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(management, "OVERLAY", tmp_path / "overlays/lab")
    management.apply_templates(LAB, MGMT)
    told = json.loads(kubectl("--namespace=argo", "get", "wftmpl", "trial", "--output=json"))
    (found,) = told["spec"]["templates"]
    assert found["script"]["image"] == image("docker.io/cnibench/step")


def test_nobody_without_a_token_sees_workflows() -> None:
    answer = urllib3.request("GET", f"{LAB.url_of(ARGO)}/api/v1/workflows/argo", timeout=10)
    assert answer.status == 401


def test_status_says_where_both_are() -> None:
    done = call(LAB, "status")
    assert done.returncode == status.UP, done.stdout
    for text in (LAB.url_of(ARGO), LAB.url_of(STORE), f"source {LAB.run}/mgmt/environment.sh"):
        assert text in done.stdout


def test_another_up_changes_nothing() -> None:
    before = pods(), pids(LAB)
    run(LAB, "up")
    assert (pods(), pids(LAB)) == before
