"""Annotations, labels, taints and conditions that a plugin leaves on node objects."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from kubernetes.client import V1Taint

from steps.lib.models import Cleanup
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.evacuation import change_taints


def remove_marks(api: Api, nodes: Sequence[str], removes: Cleanup) -> None:
    """Take away what the plugin's description lists. Idempotent."""
    for name in nodes:
        node = api.call(api.core.read_node, name)
        changes: dict[str, Any] = {}
        for field, patterns in (
            ("annotations", removes.node_annotations),
            ("labels", removes.node_labels),
        ):
            gone = _matching(getattr(node.metadata, field) or {}, patterns)
            if gone:
                changes.setdefault("metadata", {})[field] = dict.fromkeys(gone)
        if changes:
            node = api.call(api.core.patch_node, name, changes)
        change_taints(api, name, partial(_without, removes.node_taints))
        _remove_conditions(api, node, removes.node_conditions)


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


def _remove_conditions(api: Api, node: Any, types: Sequence[str]) -> None:
    present = {c.type for c in node.status.conditions or []}
    gone = [{"type": t, "$patch": "delete"} for t in types if t in present]
    if gone:
        api.call(
            api.core.patch_node_status,
            node.metadata.name,
            {"status": {"conditions": gone}},
            _content_type="application/strategic-merge-patch+json",
        )


def _without(patterns: Sequence[str], taints: list[V1Taint]) -> list[V1Taint]:
    return [t for t in taints if not _matching([t.key], patterns)]


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [n for n in names if any(fnmatchcase(n, p) for p in patterns)]
