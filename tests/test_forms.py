"""The templates as Argo's submit form shows them: what a person sees and can choose."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from steps.lib.catalog import Catalog, origins
from steps.lib.estimate import cell_time_s
from steps.lib.tools import REPOSITORY
from tests.argo import Document, parameters, rendered, templates
from workflows.access import PAGE, ROLES, rights_page

FORMS = {
    "plugin.yaml": [
        "plugin", "profile", "matrix", "target", "repeats", "seed", "store", "name",
    ],
    "campaign.yaml": [
        "name", "plugins", "profiles", "matrix", "target", "repeats", "seed", "store",
    ],
}  # fmt: skip
"""Fields in the order in which they are shown."""


def fields(form: str) -> dict[str, Document]:
    return parameters(rendered(form)["spec"], "arguments")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_few_fields_in_a_sensible_order_each_explained(form: str) -> None:
    assert list(fields(form)) == FORMS[form]
    assert len(fields(form)) <= 10
    for field in fields(form).values():
        assert field["description"]
        assert "value" in field, "a form that is sent off as it is must be valid"
        assert field["value"] in field.get("enum", [field["value"]])


@pytest.mark.parametrize("form", FORMS)
def test_whatever_can_be_chosen_is_a_drop_down_of_the_catalog(form: str) -> None:
    offered = {name: field["enum"] for name, field in fields(form).items() if "enum" in field}
    catalog = Catalog()
    assert sorted(offered["matrix"]) == list(catalog.matrices.names)
    assert offered["target"] == list(catalog.targets.names)
    if form == "plugin.yaml":
        assert offered["plugin"] == installable(catalog)
        assert offered["profile"] == list(catalog.profiles.names)


def installable(catalog: Catalog) -> list[str]:
    """Plugins for clusters whose sources all have a digest on record."""
    on_clusters = [p for p in catalog.plugins if "kubernetes" in p.targets]
    return [p.name for p in on_clusters if all(origin.digest for origin in origins(p))]


def test_what_a_campaign_compares_by_default_can_be_installed_as_it_is() -> None:
    names = fields("campaign.yaml")["plugins"]["value"].split(", ")
    assert names == installable(Catalog())
    assert len(names) > 5


def test_nodes_are_not_tuned_unless_somebody_asks_for_it() -> None:
    assert fields("plugin.yaml")["profile"]["value"] == "base"
    assert fields("campaign.yaml")["profiles"]["value"] == "base"
    assert "payload.profile ?? 'base'" in json.dumps(rendered("request.yaml"))


def test_the_nodes_themselves_are_measured_unless_somebody_chooses_a_plugin() -> None:
    default = fields("plugin.yaml")["plugin"]["value"]
    assert Catalog().plugins.load(default).baseline


@pytest.mark.parametrize("form", FORMS)
def test_the_matrix_that_takes_least_is_run_unless_somebody_chooses(form: str) -> None:
    field = fields(form)["matrix"]
    matrices = [Catalog().matrices.load(name) for name in field["enum"]]
    times_s = [sum(cell_time_s(c.traffic) for c in matrix.cells) for matrix in matrices]
    assert times_s == sorted(times_s)
    assert field["value"] == field["enum"][0]
    assert f"payload.matrix ?? '{field['value']}'" in json.dumps(rendered("request.yaml"))


@pytest.mark.parametrize("form", FORMS)
def test_a_form_says_what_it_is_and_starts_where_it_should(form: str) -> None:
    document = rendered(form)
    annotations = document["metadata"]["annotations"]
    assert annotations["workflows.argoproj.io/title"]
    assert "**Stop**" in annotations["workflows.argoproj.io/description"]
    assert document["spec"]["entrypoint"] in templates(document)


@pytest.mark.parametrize("form", [*FORMS, "block.yaml"])
def test_every_run_has_the_labels_that_the_list_shows_as_columns(form: str) -> None:
    labels = rendered(form)["spec"]["workflowMetadata"]["labelsFrom"]
    assert {"cnibench/campaign", "cnibench/target"} <= set(labels)
    assert ("cnibench/plugin" in labels) == (form != "campaign.yaml")


@pytest.mark.parametrize("form", [*FORMS, "block.yaml"])
def test_no_value_of_a_form_reaches_a_shell_or_a_command_line(form: str) -> None:
    for template in templates(rendered(form)).values():
        if "script" not in template:
            continue
        script = template["script"]
        assert script["command"] == ["python"]
        assert script["source"] == "{{inputs.parameters}}", "a file of JSON, which Hera reads"
        assert not re.search("{{", " ".join(script["args"]))


@pytest.mark.parametrize("form", [*FORMS, "block.yaml"])
def test_pods_are_the_user_that_the_image_was_made_for(form: str) -> None:
    dockerfile = Path(__file__).parents[1] / "images" / "step" / "Dockerfile"
    (user,) = re.findall(r"^USER (\d+)$", dockerfile.read_text(), re.MULTILINE)
    assert rendered(form)["spec"]["securityContext"]["runAsUser"] == int(user)


@pytest.mark.parametrize("form", [*FORMS, "block.yaml"])
def test_pods_meet_the_restricted_level(form: str) -> None:
    spec = rendered(form)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for template in spec["templates"]:
        if "script" in template:
            security = template["script"]["securityContext"]
            assert security == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert template["script"]["resources"]["limits"]


@pytest.mark.parametrize("form", [*FORMS, "block.yaml"])
def test_only_who_asks_for_a_target_holds_its_kubeconfig(form: str) -> None:
    for template in rendered(form)["spec"]["templates"]:
        if "script" in template:
            asked = parameters(template, "inputs")
            mounts = [m["name"] for m in template["script"].get("volumeMounts", [])]
            assert ("target" in mounts) == ("target" in asked), template["name"]
            # To leave a target is to put on record what it was left by, in whichever store that is.
            assert "envFrom" in template["script"]


def test_the_page_of_rights_is_what_the_code_grants() -> None:
    assert PAGE.read_text(encoding="utf-8") == rights_page(), "run: make docs"


def test_no_role_may_do_everything_or_read_secrets() -> None:
    for role in ROLES:
        for rule in role.rules:
            assert "*" not in (*rule.verbs, *rule.resources)
            assert "secrets" not in rule.resources
            assert "delete" not in rule.verbs


RUNS = sorted((REPOSITORY / "workflows").glob("run*/*.yaml"))


def filled(file: Path) -> tuple[str, dict[str, str]]:
    """The form that a run in Git fills, and with what."""
    run = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert run["metadata"]["name"] == file.stem
    chosen = {name: field["value"] for name, field in parameters(run["spec"], "arguments").items()}
    return run["spec"]["workflowTemplateRef"]["name"].removeprefix("cnibench-"), chosen


@pytest.mark.parametrize("file", RUNS, ids=lambda file: file.stem)
def test_a_run_in_git_fills_a_form_with_what_it_offers(file: Path) -> None:
    form, chosen = filled(file)
    offered = fields(f"{form}.yaml")
    assert {n: v for n, v in chosen.items() if v not in offered[n].get("enum", [v])} == {}


def test_the_demo_of_the_lab_and_its_run_in_git_are_one_campaign() -> None:
    """Both leave the form as it is but for these fields."""
    form, chosen = filled(next(file for file in RUNS if file.stem.endswith("lab-demo")))
    script = (REPOSITORY / "lab" / "demo.sh").read_text(encoding="utf-8")
    assert f"workflowtemplate/cnibench-{form} " in script
    given = dict(re.findall(r'--parameter (\w+)="?([^" )]+)', script))
    defaults = dict(re.findall(r"^(\w+)=\$\{\d:-([\w-]+)\}", script, re.MULTILINE))
    assert chosen == {name: defaults.get(text.lstrip("$"), text) for name, text in given.items()}


def test_the_demo_makes_a_run_file_for_any_campaign_and_another_one_at_each_call() -> None:
    """A file that is applied again runs nothing; what it ran earlier would pass for this call's."""
    script = (REPOSITORY / "lab" / "demo.sh").read_text(encoding="utf-8")
    function = re.search(r"^run_file\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    assert function is not None
    given = "clone=. campaign=my-lab-demo matrix=lab plugins=host-network,bridge-routes; "
    calls = f"{given}{function[0]}\nrun_file; echo ---; sleep 1; run_file"
    text = subprocess.run(
        ["bash", "-euc", calls], cwd=REPOSITORY, check=True, capture_output=True
    ).stdout
    runs = list(YAML(typ="safe").load_all(text))
    names = [run["metadata"]["name"] for run in runs]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-my-lab-demo", name) for name in names)
    wanted = {"name": "my-lab-demo", "matrix": "lab", "plugins": "host-network,bridge-routes"}
    for run in runs:
        chosen = parameters(run["spec"], "arguments").items()
        assert {name: field["value"] for name, field in chosen} == wanted | {"repeats": "1"}
