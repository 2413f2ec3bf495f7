"""The rendered manifests against a real Argo: nothing is dropped, nothing too much is allowed."""

import json

import pytest
from ruamel.yaml import YAML

from lab.programs import image
from tests.lab.on_argo.argo import RENDERED, Argo, Document
from workflows.access import ROLES, Role

pytestmark = pytest.mark.lab

TEMPLATES = ["block.yaml", "campaign.yaml", "plugin.yaml"]
OTHERS = ["nightly.yaml", "request.yaml"]


def document(name: str) -> Document:
    found: Document = YAML(typ="safe").load((RENDERED / name).read_text())
    return found


def test_lint_passes_offline_and_against_the_server(argo: Argo) -> None:
    kinds = "workflows,workflowtemplates,cronworkflows"
    files = [str(RENDERED / n) for n in (*TEMPLATES, "nightly.yaml")]
    runs = [str(file) for file in RENDERED.parent.glob("run*s/*.yaml")]
    offline = argo.command("lint", "--offline", f"--kinds={kinds}", *files, *runs)
    assert offline.returncode == 0, offline.stdout + offline.stderr
    server = argo.command("lint", f"--kinds={kinds}", *files, *runs)
    assert server.returncode == 0, server.stdout + server.stderr


@pytest.mark.parametrize("name", [*TEMPLATES, *OTHERS])
def test_what_is_stored_is_what_was_applied(argo: Argo, name: str) -> None:
    """No field is dropped by a model that does not know it; the step's image is the lab's own."""
    applied = document(name)
    stored = argo.get(applied["kind"].lower(), applied["metadata"]["name"])
    own = image("docker.io/cnibench/step")
    text = json.dumps(applied["spec"]).replace("cnibench-step:0.1.0", own)
    assert stored["spec"] == json.loads(text)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_may_do_what_its_table_says_and_no_more(argo: Argo, role: Role) -> None:
    asked = {
        (verb, resource)
        for each in ROLES
        for rule in each.rules
        for resource in rule.resources
        for verb in rule.verbs
    }
    asked |= {("get", "secrets"), ("create", "pods"), ("delete", "workflows"), ("list", "nodes")}
    asked |= {("create", "pods/exec"), ("update", "workflowtemplates"), ("impersonate", "users")}
    granted = {(v, r) for rule in role.rules for r in rule.resources for v in rule.verbs}
    for verb, resource in sorted(asked):
        assert argo.may(role.name, verb, resource) == ((verb, resource) in granted), (
            f"{role.name}: {verb} {resource}"
        )


@pytest.mark.parametrize("namespace", ["argo", "minio"])
def test_no_pod_of_the_pipeline_or_the_store_may_ask_for_more_than_the_restricted_level(
    argo: Argo, namespace: str
) -> None:
    """Neither a stage, nor what runs them, nor the store."""
    labels = argo.get("namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def overlay(argo: Argo, name: str, kind: str = "WorkflowTemplate") -> list[Document]:
    text = argo.kubectl("kustomize", str(RENDERED.parent / "overlays" / name))
    return [d for d in YAML(typ="safe").load_all(text) if d["kind"] == kind]


def test_the_example_says_image_and_bucket_once_for_all_templates(argo: Argo) -> None:
    templates = overlay(argo, "example")
    assert len(templates) == len(TEMPLATES)
    (found,) = {name for each in templates for name in _images(each["spec"])}
    assert found.startswith("registry.example/cnibench/step@sha256:")
    forms = [each["spec"]["arguments"]["parameters"] for each in templates]
    stores = {p["value"] for form in forms for p in form if p["name"] == "store" and "value" in p}
    assert stores == {"s3://my-bucket/cnibench"}
    assert {each["metadata"]["namespace"] for each in templates} == {"argo"}


def test_the_example_starts_nothing_at_night(argo: Argo) -> None:
    (nightly,) = overlay(argo, "example", "CronWorkflow")
    assert nightly["spec"]["suspend"] is True


def test_on_one_cluster_every_pod_is_on_the_network_of_its_node(argo: Argo) -> None:
    for each in overlay(argo, "one-cluster"):
        assert each["spec"].pop("hostNetwork") is True
        assert each["spec"].pop("dnsPolicy") == "Default"
        assert each["spec"].pop("tolerations")
        name = each["metadata"]["name"].removeprefix("cnibench-")
        assert each["spec"] == document(f"{name}.yaml")["spec"], "nothing else was changed"


def _images(spec: Document) -> set[str]:
    return {t["script"]["image"] for t in spec.get("templates", []) if "script" in t}
