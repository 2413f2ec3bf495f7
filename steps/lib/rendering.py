"""The objects that a plugin is made of: its manifest or chart, with the plugin file's changes."""

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonpatch
import jsonpointer
import yaml

from steps.lib.errors import InputError
from steps.lib.models import Applied, Chart, ObjectReference, Plugin
from steps.lib.sources import fetch

Object = dict[str, Any]

PLACEHOLDERS = (
    "pod_cidr", "pod_cidr6", "service_cidr", "dns_address", "api_host", "api_port", "pod_mtu",
    "underlay_mtu", "random_hex",
)  # fmt: skip
"""What texts of a plugin file may hold in braces; any other braces stay, since JSON has them."""

RANDOM_BYTES = 20

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")

ORDER = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("PriorityClass", "RuntimeClass", "StorageClass"),
    ("ServiceAccount",),
    ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    ("ConfigMap", "Secret"),
    ("Service",),
    ("CronJob", "DaemonSet", "Deployment", "Job", "Pod", "PodDisruptionBudget", "StatefulSet"),
    ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    ("APIService",),
)
"""What must be there before what. Any other kind comes last: it is a custom resource."""

HOOK = "helm.sh/hook"


class _Loader(yaml.CSafeLoader):
    """YAML 1.1, as Kubernetes reads it (``0400`` is octal), but a date stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith((":timestamp", ":value"))]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def objects(plugin: Plugin, values: Mapping[str, str]) -> list[Object]:
    """All objects to apply, in the order of their kinds. No cluster is asked for anything.

    Args:
        plugin: One that a manifest or a chart installs.
        values: What ``PLACEHOLDERS`` stand for, but for ``random_hex``, a secret: it is made here,
            since none may stand in a file.

    Raises:
        InputError: the source cannot be read, or lacks what the plugin file changes or leaves out.
        RefusedError: the source is not what the lock file says.
        TransientError: the source cannot be fetched now.
    """
    install = plugin.install
    assert isinstance(install, Applied), f"{install.mechanism} has no objects"
    where = f"plugin {plugin.name}: install"
    values = {"random_hex": secrets.token_hex(RANDOM_BYTES), **values}
    source = fetch(plugin.source)
    found = _of_chart(source, install, values) if isinstance(install, Chart) else load(source)
    if install.crds is not None:
        found += load(fetch(install.crds))
    found = [body for body in found if HOOK not in (body["metadata"].get("annotations") or {})]
    _omit(found, install, where)
    _patch(found, install, values, where)
    return sorted([*found, *fill(list(install.objects), values)], key=_rank)


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """A copy with the placeholders in all its texts replaced; texts stay texts."""
    if isinstance(value, Mapping):
        return {key: fill(inner, values) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(inner, values) for inner in value]
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: values[match[1]], value)
    return value


def load(path: Path) -> list[Object]:
    """The objects of a YAML file, or of all YAML files of a folder.

    Raises:
        InputError: something in it is no object.
    """
    files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    return [body for file in files for body in _parsed(file.read_text(encoding="utf-8"), str(file))]


def _parsed(text: str, where: str) -> Iterator[Object]:
    try:
        documents = [d for d in yaml.load_all(text, _Loader) if d is not None]
    except yaml.YAMLError as error:
        raise InputError(f"{where}: is not valid YAML: {error}") from error
    for document in documents:
        for body in _unpacked(document):
            if not isinstance(body, dict) or not {"apiVersion", "kind", "metadata"} <= body.keys():
                raise InputError(f"{where}: holds a document that is no Kubernetes object")
            yield body


def _unpacked(document: Any) -> list[Any]:
    """The items of a List, which is no object of the API."""
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or [])
    return [document]


def _of_chart(folder: Path, chart: Chart, values: Mapping[str, str]) -> list[Object]:
    # It loads a large library, which only who installs a chart needs.
    from helm_python import Chart as HelmChart
    from helm_python import HelmError

    try:
        loaded = HelmChart.load(folder)
        texts = loaded.render(
            fill(chart.values, values), name=chart.release, namespace=chart.namespace
        )
        crds = {crd["name"]: crd["data"] for crd in loaded.crds}
    except HelmError as error:
        raise InputError(f"chart {chart.release}: {error}") from error
    # Notes for people are rendered like the objects.
    manifests = {name: text for name, text in texts.items() if not name.endswith(".txt")}
    return [b for name, text in (crds | manifests).items() for b in _parsed(text, name)]


def _omit(found: list[Object], install: Applied, where: str) -> None:
    for index, omitted in enumerate(install.omit):
        for body in _selected(found, omitted, f"{where}.omit.{index}"):
            found.remove(body)


def _patch(found: list[Object], install: Applied, values: Mapping[str, str], where: str) -> None:
    for index, patch in enumerate(install.patches):
        place = f"{where}.patches.{index}"
        for body in _selected(found, patch, place):
            try:
                patched = jsonpatch.apply_patch(body, fill(patch.patch, values))
            except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
                raise InputError(f"{place}: {patch.kind} {patch.name}: {error}") from error
            found[found.index(body)] = patched


def _selected(found: list[Object], wanted: ObjectReference, where: str) -> list[Object]:
    selected = [
        body
        for body in found
        if (body["kind"], body["metadata"]["name"]) == (wanted.kind, wanted.name)
    ]
    if not selected:
        names = sorted(b["metadata"]["name"] for b in found if b["kind"] == wanted.kind)
        raise InputError(
            f"{where}: the source has no {wanted.kind} {wanted.name}; of this kind it has: "
            f"{', '.join(names) or 'none'}"
        )
    return selected


def _rank(body: Object) -> int:
    kind = body["kind"]
    return next((rank for rank, kinds in enumerate(ORDER) if kind in kinds), len(ORDER))
