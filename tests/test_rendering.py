"""The objects of a plugin: read, rendered, changed and put in order as its file says."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steps.lib import sources
from steps.lib.catalog import Catalog, origins
from steps.lib.errors import InputError, RefusedError
from steps.lib.models import Applied, Plugin
from steps.lib.rendering import ORDER, PLACEHOLDERS, fill, load, objects

VALUES = {
    "pod_cidr": "10.244.0.0/16",
    "pod_cidr6": "fd99::/56",
    "service_cidr": "10.96.0.0/16",
    "dns_address": "10.96.0.10",
    "api_host": "10.98.0.1",
    "api_port": "6443",
    "pod_mtu": "1450",
    "underlay_mtu": "1500",
}

MANIFEST = """\
    apiVersion: example.org/v1
    kind: Thing
    metadata: {name: thing}
    ---
    # Nothing but a comment.
    ---
    apiVersion: v1
    kind: List
    items:
      - apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: agent, namespace: x}
        spec: {mode: 0400, since: 2026-11-24, args: [--mtu, "1500"]}
      - {apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {json: '{"a": 1}'}}
    ---
    apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingWebhookConfiguration
    metadata: {name: hook}
    ---
    {apiVersion: v1, kind: Namespace, metadata: {name: x}}
    """

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n",
    "values.yaml": "mtu: 0\nextra: false\n",
    "crds/things.yaml": """\
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: things.example.org}
        """,
    "templates/config.yaml": """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: "{{ .Release.Name }}", namespace: "{{ .Release.Namespace }}"}
        data: {mtu: "{{ .Values.mtu }}"}
        ---
        {{- if .Values.extra }}
        apiVersion: v1
        kind: Secret
        metadata: {name: extra}
        {{- end }}
        """,
    "templates/hook.yaml": """\
        apiVersion: batch/v1
        kind: Job
        metadata: {name: uninstall, annotations: {helm.sh/hook: pre-delete}}
        """,
    "templates/NOTES.txt": "You have installed {{ .Chart.Name }}: enjoy.\n",
}


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNIBENCH_MIRROR", str(tmp_path / "mirror"))


def plugin(source: dict[str, str], **install: Any) -> Plugin:
    fields = Catalog().plugins.load("flannel-vxlan").model_dump(exclude={"source", "install"})
    return Plugin.model_validate(
        fields
        | {
            "source": {"name": "x", "version": "1", **source},
            "install": {"namespace": "x", **install},
        }
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Plugin]:
    file = tmp_path / "manifest.yaml"
    file.write_text(textwrap.dedent(MANIFEST))
    source = {"url": "https://example.org/m.yaml", "digest": sources.add_to_mirror(file)}
    return lambda **install: plugin(source, mechanism="manifest", **install)


@pytest.fixture
def chart(tmp_path: Path) -> Callable[..., Plugin]:
    for name, text in CHART.items():
        file = tmp_path / "chart" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    digest = sources.add_to_mirror(tmp_path / "chart")
    source = {"url": "https://example.org/c.tgz", "path": "chart", "digest": digest}
    return lambda **install: plugin(source, mechanism="chart", release="r", **install)


def kinds(made: list[dict[str, Any]]) -> list[str]:
    return [body["kind"] for body in made]


def named(made: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [body for body in made if body["metadata"]["name"] == name]
    return found


def test_objects_come_in_the_order_in_which_they_need_each_other(
    manifest: Callable[..., Plugin],
) -> None:
    more = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent"}}
    assert kinds(objects(manifest(objects=[more]), VALUES)) == [
        "Namespace",
        "ServiceAccount",
        "ConfigMap",
        "DaemonSet",
        "ValidatingWebhookConfiguration",
        "Thing",
    ]


def test_yaml_is_read_as_kubernetes_reads_it(manifest: Callable[..., Plugin]) -> None:
    made = next(b for b in objects(manifest(), VALUES) if b["kind"] == "DaemonSet")
    assert made["spec"]["mode"] == 0o400
    assert made["spec"]["since"] == "2026-11-24"


def test_objects_are_changed_left_out_and_added(manifest: Callable[..., Plugin]) -> None:
    patch = [
        {"op": "test", "path": "/spec/args/0", "value": "--mtu"},
        {"op": "replace", "path": "/spec/args/1", "value": "{pod_mtu}"},
        {"op": "add", "path": "/spec/args/-", "value": '--net={"Network": "{pod_cidr}"}'},
    ]
    made = objects(
        manifest(
            patches=[{"kind": "DaemonSet", "name": "agent", "patch": patch}],
            omit=[{"kind": "ValidatingWebhookConfiguration", "name": "hook"}],
        ),
        VALUES,
    )
    args = ["--mtu", "1450", '--net={"Network": "10.244.0.0/16"}']
    assert named(made, "agent")["spec"]["args"] == args
    assert "hook" not in [body["metadata"]["name"] for body in made]


def test_only_known_placeholders_are_filled_in() -> None:
    text = '{"a": {pod_cidr}, "b": "${pod_mtu}", "c": {node}, {{api_host}}: {}}'
    filled = '{"a": 10.244.0.0/16, "b": "$1450", "c": {node}, {10.98.0.1}: {}}'
    assert fill({"x": [text, 1, None, True]}, VALUES) == {"x": [filled, 1, None, True]}
    assert set(PLACEHOLDERS) == {*VALUES, "random_hex"}


def test_a_secret_is_the_same_in_one_rendering_and_another_in_the_next(
    manifest: Callable[..., Plugin],
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{random_hex}"}}
    made = manifest(objects=[secret | {"stringData": {"key": "{random_hex}"}}])

    def key() -> str:
        (body,) = [b for b in objects(made, VALUES) if b["kind"] == "Secret"]
        assert body["metadata"]["name"] == body["stringData"]["key"]
        return str(body["stringData"]["key"])

    assert len(bytes.fromhex(key())) == 20
    assert key() != key()


def test_a_chart_is_rendered_with_its_definitions_and_without_hooks_and_notes(
    chart: Callable[..., Plugin],
) -> None:
    made = objects(chart(values={"mtu": "{pod_mtu}"}), VALUES)
    assert kinds(made) == ["CustomResourceDefinition", "ConfigMap"]
    config = named(made, "r")
    assert (config["metadata"]["namespace"], config["data"]) == ("x", {"mtu": "1450"})
    assert kinds(objects(chart(values={"extra": True}), VALUES))[2:] == ["Secret"]


def test_definitions_come_from_elsewhere_where_the_source_lacks_them(
    manifest: Callable[..., Plugin], tmp_path: Path
) -> None:
    folder = tmp_path / "crds"
    folder.mkdir()
    (folder / "a.yaml").write_text(textwrap.dedent(CHART["crds/things.yaml"]))
    (folder / "embed.go").write_text("package crds\n")
    crds = {"url": "https://example.org/c.tgz", "path": "crds"}
    made = manifest(crds=crds | {"digest": sources.add_to_mirror(folder)})
    assert kinds(objects(made, VALUES))[:2] == ["Namespace", "CustomResourceDefinition"]


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"omit": [{"kind": "DaemonSet", "name": "agnt"}]},
        r"install\.omit\.0: the source has no DaemonSet agnt; of this kind it has: agent",
    ),
    (
        {"patches": [{"kind": "Role", "name": "r", "patch": [{"op": "remove", "path": "/a"}]}]},
        r"install\.patches\.0: the source has no Role r; of this kind it has: none",
    ),
    (
        {
            "patches": [
                {
                    "kind": "DaemonSet",
                    "name": "agent",
                    "patch": [{"op": "remove", "path": "/spec/replicas"}],
                }
            ]
        },
        r"install\.patches\.0: DaemonSet agent: can't remove a non-existent object 'replicas'",
    ),
    (
        {
            "patches": [
                {
                    "kind": "DaemonSet",
                    "name": "agent",
                    "patch": [{"op": "replace", "path": "spec", "value": 1}],
                }
            ]
        },
        r"install\.patches\.0: DaemonSet agent: ",
    ),
]


@pytest.mark.parametrize(("install", "said"), WRONG)
def test_a_change_that_the_source_has_no_place_for_is_told(
    manifest: Callable[..., Plugin], install: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        objects(manifest(**install), VALUES)


def test_a_chart_that_cannot_be_rendered_is_told(tmp_path: Path) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("apiVersion: v2\n")
    digest = sources.add_to_mirror(tmp_path / "chart")
    source = {"url": "https://example.org/c.tgz", "path": "chart", "digest": digest}
    with pytest.raises(InputError, match="chart r: "):
        objects(plugin(source, mechanism="chart", release="r"), VALUES)


@pytest.mark.parametrize("text", ["kind: [", "- 1\n", "kind: Namespace\n"])
def test_what_is_no_object_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"x\.yaml: "):
        load(file)


def fetched(of: Plugin) -> bool:
    return all(o.digest is not None and _present(o.digest) for o in origins(of))


def _present(digest: str) -> bool:
    return (sources.mirror() / digest.removeprefix("sha256:")).exists()


APPLIED = [p.name for p in Catalog().plugins if isinstance(p.install, Applied)]


@pytest.mark.parametrize("name", APPLIED)
def test_every_plugin_of_the_catalog_renders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNIBENCH_MIRROR")
    of = Catalog().plugins.load(name)
    assert isinstance(of.install, Applied)
    if not fetched(of):
        pytest.skip("its source is not in the mirror; lab/setup.sh brings those that the lab runs")
    made = objects(of, VALUES)
    ranks = [next((i for i, k in enumerate(ORDER) if b["kind"] in k), len(ORDER)) for b in made]
    assert ranks == sorted(ranks)
    workloads = {
        f"{b['metadata'].get('namespace', of.install.namespace)}/{b['metadata']['name']}": b
        for b in made
        if b["kind"] in ("DaemonSet", "Deployment")
    }
    assert {*of.ready.daemonsets, *of.ready.deployments} <= set(workloads)
    commands = [(c.workload, c.container) for c in of.removes.commands]
    if of.version:
        commands.append((of.version.workload, of.version.container))
    for workload, container in commands:
        containers = workloads[workload]["spec"]["template"]["spec"]["containers"]
        assert container in [c["name"] for c in containers]
    assert "{pod_" not in str(made)


@pytest.mark.parametrize("name", [n for n in APPLIED if n.startswith("cilium-")])
def test_a_privileged_agent_sets_the_settings_of_its_node_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own /proc is the whole machine's, also where a node shares the machine with others."""
    monkeypatch.delenv("CNIBENCH_MIRROR")
    of = Catalog().plugins.load(name)
    if not fetched(of):
        pytest.skip("its source is not in the mirror")
    made = {(b["kind"], b["metadata"]["name"]): b for b in objects(of, VALUES)}
    config = made["ConfigMap", "cilium-config"]["data"]
    pod = made["DaemonSet", "cilium"]["spec"]["template"]["spec"]
    volumes = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    (agent,) = pod["containers"]
    assert agent["securityContext"] == {"privileged": True}
    places = {m["mountPath"]: (volumes.get(m["name"]), m) for m in agent["volumeMounts"]}
    path, mount = places[config["procfs"]]
    # A mount of /proc/sys/kernel alone would be made writable by the runtime, whatever it is there.
    assert path == "/proc"
    assert not mount["readOnly"]


def test_a_changed_manifest_is_refused_before_anything_is_applied(
    manifest: Callable[..., Plugin],
) -> None:
    of = manifest()
    assert of.source.digest
    place = sources.mirror() / of.source.digest.removeprefix("sha256:")
    place.write_text("kind: Namespace\n")
    with pytest.raises(RefusedError, match="was changed"):
        objects(of, VALUES)
