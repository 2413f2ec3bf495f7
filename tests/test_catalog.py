import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from steps.lib import generated
from steps.lib.catalog import CATALOG, Catalog, load_job
from steps.lib.errors import InputError
from steps.lib.questions import QUERIES, load_question
from steps.lib.schemas import COMMAND, SCHEMAS, schemas
from tests.catalogs import CAMPAIGN, CHILD, PLUGIN, PROFILE, change, complaint, loaded, make_catalog

CAMPAIGNS = CATALOG.parent / "campaigns"

FOLDERS: dict[Path, tuple[str, Callable[[Path], Any]]] = {
    CATALOG / "plugins": ("plugin", lambda path: Catalog().plugins.load(path.stem)),
    CATALOG / "profiles": ("profile", lambda path: Catalog().profiles.load(path.stem)),
    CATALOG / "matrices": ("matrix", lambda path: Catalog().matrices.load(path.stem)),
    CAMPAIGNS: ("campaign", load_job),
    QUERIES: ("question", lambda path: load_question(path.stem)),
}

FILES = [
    pytest.param(path, *of, id=f"{folder.name}/{path.stem}")
    for folder, of in FOLDERS.items()
    for path in sorted(folder.glob("*.yaml"))
]


@pytest.mark.parametrize(("path", "kind", "load"), FILES)
def test_a_file_names_its_schema_and_fits_it_and_loads(
    path: Path, kind: str, load: Callable[[Path], Any]
) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line tells editors the schema"
    schema = (path.parent / named[1]).resolve()
    assert schema == SCHEMAS / f"{kind}.schema.json"
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    assert [e.message for e in validator.iter_errors(YAML(typ="safe").load(text))] == []
    load(path)


def test_the_committed_schemas_are_those_of_the_models() -> None:
    assert not generated.drift(schemas(), SCHEMAS), f"run: {COMMAND}"
    for text in schemas().values():
        schema = json.loads(text)
        Draft202012Validator.check_schema(schema)
        assert "$id" not in schema


def test_a_schema_finds_what_an_editor_should_underline() -> None:
    validator = Draft202012Validator(json.loads((SCHEMAS / "profile.schema.json").read_text()))
    child = {"name": "x", "extends": "base"}
    assert validator.is_valid(child)
    assert not validator.is_valid({"name": "x"})
    assert not validator.is_valid(child | {"entrys": []})
    assert not validator.is_valid(child | {"entries": [{"name": "net.core.rmem_max"}]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_catalog(tmp_path)


def test_a_file_that_is_not_there_is_told(folder: Path) -> None:
    (folder / CAMPAIGN).unlink()
    assert complaint(folder) == "campaign.yaml: cannot be read (No such file or directory)"


def test_an_entry_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    with pytest.raises(InputError, match=r"plane\.yaml: no such file; did you mean 'plain'\?"):
        Catalog(folder).plugins.load("plane")


def test_a_mistake_of_a_parent_is_told_where_it_stands(folder: Path) -> None:
    change(folder / PLUGIN, "targets: [", "targets: [namespace, ")
    change(folder / CAMPAIGN, "plain, ", "")
    assert complaint(folder).startswith("plugins/plain.yaml:5: targets.0: 'namespace' is not")


def test_a_child_replaces_entries_of_the_same_name_and_adds_others(folder: Path) -> None:
    entry = '  - {name: net.core.rmem_max, value: "2", scope: node}\n'
    change(folder / PROFILE, "entries:\n", f"entries:\n{entry}")
    entries = Catalog(folder).profiles.load("tuned").entries
    assert [(e.name, e.value) for e in entries] == [
        ("net.core.rmem_max", "2"),
        ("net.core.wmem_max", "1"),
    ]


def test_a_mapping_of_another_kind_replaces_its_parents(folder: Path) -> None:
    chain = "{mechanism: cni-chain, plugins: [{type: ptp}], inter_node: {kind: routes}}"
    change(folder / PLUGIN, "{mechanism: host-network}", chain)
    vxlan = "{inter_node: {kind: vxlan, device: vx0, vni: 1}}"
    change(folder / CHILD, "title:", f"install: {vxlan}\ntitle:")
    install = Catalog(folder).plugins.load("derived").model_dump()["install"]
    assert install["plugins"] == ({"type": "ptp"},)
    assert install["inter_node"] == {"kind": "vxlan", "device": "vx0", "vni": 1, "port": 4789}


def test_a_date_is_a_text_as_written(folder: Path) -> None:
    change(folder / CAMPAIGN, "name: fine", "name: 2026-11-24")
    assert loaded(folder).campaign.name == "2026-11-24"
