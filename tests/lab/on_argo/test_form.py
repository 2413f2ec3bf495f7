"""The submit forms, read from Argo's server as its UI reads them."""

from typing import Any

import pytest

from steps.lib.catalog import Catalog
from tests.argo import parameters, rendered
from tests.lab.on_argo.argo import Argo

pytestmark = pytest.mark.lab

COMMON = ["matrix", "target", "repeats", "seed", "store"]
FIELDS = {
    "cnibench-plugin": ["plugin", "profile", *COMMON, "name"],
    "cnibench-campaign": ["name", "plugins", "profiles", *COMMON],
}


def fields(argo: Argo, form: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = argo.form(form)["spec"]["arguments"]["parameters"]
    return found


@pytest.mark.parametrize("form", FIELDS)
def test_a_form_shows_its_fields_in_order_each_a_text_with_a_default_and_explained(
    argo: Argo, form: str
) -> None:
    shown = fields(argo, form)
    assert [field["name"] for field in shown] == FIELDS[form]
    assert all(isinstance(field["value"], str) and field["description"] for field in shown)


@pytest.mark.parametrize("form", FIELDS)
def test_a_form_begins_where_it_should_and_says_what_it_is(argo: Argo, form: str) -> None:
    template = argo.form(form)
    spec, annotations = template["spec"], template["metadata"]["annotations"]
    assert spec["entrypoint"] in [t["name"] for t in spec["templates"]]
    assert {"title", "description"} <= {name.rpartition("/")[2] for name in annotations}


def test_what_can_be_chosen_is_what_the_catalog_has(argo: Argo) -> None:
    catalog = Catalog()
    offered = {f["name"]: f["enum"] for f in fields(argo, "cnibench-plugin") if "enum" in f}
    assert offered.keys() == {"plugin", "profile", "matrix", "target"}
    assert offered["profile"] == [*catalog.profiles.names]
    assert sorted(offered["matrix"]) == [*catalog.matrices.names]
    assert offered["target"] == [*catalog.targets.names]
    (rendered_plugin,) = (
        field
        for field in parameters(rendered("plugin.yaml")["spec"], "arguments").values()
        if field["name"] == "plugin"
    )
    assert offered["plugin"] == rendered_plugin["enum"]
