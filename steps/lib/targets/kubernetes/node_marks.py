"""Annotations, labels, taints and conditions that a plugin leaves on node objects."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from steps.lib.models import Cleanup, Model
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.evacuation import change_taints


class Marks(Model):
    """What of a plugin's marks stood on a node before it: somebody else's, who needs them."""

    annotations: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    taints: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


def present_marks(api: Api, node: str, removes: Cleanup) -> Marks:
    """Which of the marks that the plugin's description lists are on a node now."""
    found = api.call(api.core.read_node, node)
    annotations, labels = (found.metadata.annotations or {}), (found.metadata.labels or {})
    taints = _matching([t.key for t in found.spec.taints or []], removes.node_taints)
    conditions = {c.type for c in found.status.conditions or []}
    return Marks(
        annotations={k: annotations[k] for k in _matching(annotations, removes.node_annotations)},
        labels={k: labels[k] for k in _matching(labels, removes.node_labels)},
        taints=tuple(taints),
        conditions=tuple(sorted(conditions & set(removes.node_conditions))),
    )


def remove_marks(api: Api, name: str, removes: Cleanup, before: Marks) -> None:
    """Take away what the plugin's description lists, but for what stood there. Idempotent."""
    present = present_marks(api, name, removes)
    metadata = {
        "annotations": _back(present.annotations, before.annotations),
        "labels": _back(present.labels, before.labels),
    }
    if any(metadata.values()):
        api.call(api.core.patch_node, name, {"metadata": metadata})
    gone = set(present.taints) - set(before.taints)
    change_taints(api, name, lambda taints: [t for t in taints if t.key not in gone])
    _remove_conditions(api, name, sorted(set(present.conditions) - set(before.conditions)))


def _back(present: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str | None]:
    """Changes that lead from one to the other."""
    names = {**present, **before}
    return {n: before.get(n) for n in names if present.get(n) != before.get(n)}


def marks(node: Any) -> dict[str, frozenset[str]]:
    """What a plugin could leave on a node's object, for the inventory.

    Conditions by type, annotations and labels by key: kubelets refresh their values.
    """
    metadata, taints = node.metadata, node.spec.taints or []
    return {
        "node annotations": frozenset(metadata.annotations or {}),
        "node labels": frozenset(metadata.labels or {}),
        "node taints": frozenset(t.key for t in taints if not _is_kubernetes_own(t.key)),
        "node conditions": frozenset(c.type for c in node.status.conditions or []),
    }


def _is_kubernetes_own(taint: str) -> bool:
    """Set by the node's life cycle, and by cnibench while it removes a plugin."""
    return taint.startswith(("node.kubernetes.io/", "cnibench.io/"))


def _remove_conditions(api: Api, node: str, types: Sequence[str]) -> None:
    gone = [{"type": each, "$patch": "delete"} for each in types]
    if gone:
        api.call(
            api.core.patch_node_status,
            node,
            {"status": {"conditions": gone}},
            _content_type="application/strategic-merge-patch+json",
        )


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [n for n in names if any(fnmatchcase(n, p) for p in patterns)]
