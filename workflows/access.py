"""The service accounts of both templates, with the least that each needs."""

from typing import Any

from workflows import parts

REPORT_RESULTS = {
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
"""What Argo's executor needs in every pod."""

CREATE_BLOCKS = {
    "apiGroups": ["argoproj.io"],
    "resources": ["workflows"],
    "verbs": ["create", "get", "list", "watch"],
}

ROLES = {"cnibench-block": [REPORT_RESULTS], "cnibench-campaign": [REPORT_RESULTS, CREATE_BLOCKS]}


def access() -> list[dict[str, Any]]:
    """Service account, role and binding of each name."""
    return [d for name, rules in ROLES.items() for d in _documents(name, rules)]


def _documents(name: str, rules: list[dict[str, list[str]]]) -> list[dict[str, Any]]:
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": name, "labels": parts.LABELS}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        },
    ]
