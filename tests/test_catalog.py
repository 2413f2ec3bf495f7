import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from cnibench import cli_features
from cnibench.cli import app
from cnibench.show import Format
from steps.lib import generated
from steps.lib.catalog import CATALOG, Catalog, load_job
from steps.lib.errors import InputError
from steps.lib.models import Applied, Features, Plugin
from steps.lib.questions import load_question
from steps.lib.schemas import COMMAND, SCHEMAS, schemas
from steps.lib.sql import QUERIES
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


def test_the_sibling_of_a_variant_is_another_plugin_of_the_same_targets() -> None:
    plugins = {plugin.name: plugin for plugin in Catalog().plugins}
    for name, plugin in plugins.items():
        if plugin.variant:
            assert plugin.variant.of != name
            assert set(plugin.targets) & set(plugins[plugin.variant.of].targets), name


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


NO_TUNNEL_DEVICE = {
    "antrea-ipsec": "the kernel's transformations have no device",
    "cilium-ipsec": "the kernel's transformations have no device",
    "calico-ebpf": "packets may be handed past the tunnel's device",
    "weave": "the tunnel is a port of a switch, whose counters are not read",
}
"""Variants of which only the way over the uplink is proven, not that it is a tunnel."""


def test_every_tunnel_is_proven_by_its_device_or_it_is_said_why_not() -> None:
    every = map(Catalog().plugins.load, Catalog().plugins.names)
    tunnels = [plugin for plugin in every if plugin.encapsulation != "none"]
    bare = {
        plugin.name
        for plugin in tunnels
        if not any(
            device not in ("@uplink", "@pair", "cni0")
            for place, device in (r.split(":") for r in plugin.paths["cross-node"].carries)
            if place == "client-node"
        )
    }
    assert bare == set(NO_TUNNEL_DEVICE)


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


NOT_RUN = "# Written from its documentation and sources; cnibench has not run it yet.\n"


def was_run(plugin: Plugin) -> bool:
    path = CATALOG / "plugins" / f"{plugin.name}.yaml"
    return NOT_RUN not in path.read_text(encoding="utf-8").splitlines(keepends=True)[1]


def verified(plugin: Plugin) -> list[str]:
    """Names of features that were seen."""
    features = [(name, getattr(plugin.features, name)) for name in Features.model_fields]
    return [name for name, feature in features if feature is not None and feature.verified]


def test_nothing_was_seen_of_a_plugin_that_was_not_run() -> None:
    plugins = list(Catalog().plugins)
    assert any(verified(p) for p in plugins if was_run(p))
    assert {p.name: verified(p) for p in plugins if not was_run(p) and verified(p)} == {}


def test_the_table_of_features_has_claims_with_their_source_and_what_was_seen() -> None:
    result = CliRunner().invoke(app, ["catalog", "--features"])
    assert result.exit_code == 0, result.output
    lines = {(r["plugin"], r["feature"]): r for r in csv.DictReader(result.stdout.splitlines())}
    line = lines["flannel-vxlan", "encapsulation"]
    assert line["claimed"] == "VXLAN, none (host-gw), UDP, IPIP"
    assert line["source"].startswith("https://")
    assert line["verified"].startswith("flannel.1 carries")
    assert lines["canal", "encapsulation"]["verified"] == ""
    assert ("canal", "observability") not in lines, "what stands nowhere is not claimed"


def test_on_a_terminal_the_table_of_features_has_one_row_for_each_plugin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("canal", "flannel-vxlan")
    cli_features.features([Catalog().plugins.load(name) for name in names], Format.table)
    said = capsys.readouterr().out
    table, _, _ = said.partition("claimed [")
    assert re.findall(r"^([\w-]+) ", table, re.MULTILINE) == ["plugin", *names]
    notes = dict(re.findall(r"^\[(\d+)\] (.*)$", said, re.MULTILINE))
    assert list(notes) == [str(number) for number in range(1, len(notes) + 1)]
    seen = {notes[number] for number in re.findall(r"✓ \[(\d+)\]", said)}
    assert seen, "a tick leads to what was seen"
    assert not any(text.startswith("http") for text in seen)


STATUS = """\
Client: 1.20.2 module 1970-01-01T00:00:00Z go version go1.26.6 linux/amd64
KVStore:                 Disabled
Kubernetes:              Ok         1.36 (v1.36.1) [linux/amd64]
KubeProxyReplacement:    {replaces}   [uplink   10.98.0.2 (Direct Routing)]
Cilium:                  Ok   1.20.2
KubeProxyReplacement Details:
  Status:                {replaces}
  Socket LB:             {at_socket}
  Socket LB Tracing:     Enabled
"""


@pytest.mark.parametrize("name", ["cilium-native-no-kube-proxy", "cilium-gateway-api"])
def test_that_services_are_the_plugins_own_is_asked_with_its_version(name: str) -> None:
    """Where kube-proxy runs too, nothing else would tell it from the plugin that leaves them."""
    asked = Catalog().plugins.load(name).version
    assert asked
    assert asked.command[-1].endswith("cilium-dbg status --verbose")
    found = re.search(asked.pattern, STATUS.format(replaces="True", at_socket="Enabled"))
    assert found
    assert found[1] == "1.20.2"
    for replaces, at_socket in (("False", "Enabled"), ("True", "Disabled")):
        text = STATUS.format(replaces=replaces, at_socket=at_socket)
        assert not re.search(asked.pattern, text)


def test_all_that_is_installed_from_one_manifest_has_the_same_cni_configuration() -> None:
    """A child's list of patches replaces its parent's, so this text stands in each of them."""
    texts: dict[str, set[str]] = {}
    for plugin in Catalog().plugins:
        if isinstance(plugin.install, Applied):
            for patch in plugin.install.patches:
                for change in patch.patch:
                    if change["path"] == "/data/cni-conf.json":
                        texts.setdefault(plugin.source.key, set()).add(str(change["value"]))
    assert texts
    assert [len(of_source) for of_source in texts.values()] == [1] * len(texts)
