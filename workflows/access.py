"""Who may do what on the cluster on which Argo runs: a service account for each role, no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.labels import LABELS

PAGE = Path(__file__).parents[1] / "docs" / "rights.md"
ARGO, CORE, RBAC = "argoproj.io", "", "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Rule:
    """Verbs on resources of one API group, and what they are needed for."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Role:
    """A service account with its rights."""

    name: str
    who: str
    rules: tuple[Rule, ...]


REPORT = Rule(ARGO, ("workflowtaskresults",), ("create", "patch"), "Argo's executor reports by it")

BLOCK = Role("cnibench-block", "the pods of all stages", (REPORT,))
CAMPAIGN = Role(
    "cnibench-campaign",
    "the pod that starts a block",
    (REPORT, Rule(ARGO, ("workflows",), ("create", "get"), "starts each block and follows it")),
)
PERSON = Role(
    "cnibench-person",
    "people, by the UI or the CLI",
    (
        Rule(ARGO, ("workflows",), ("create", "get", "list", "watch"), "starts and follows runs"),
        Rule(ARGO, ("workflows",), ("update", "patch"), "stops and resumes them"),
        Rule(ARGO, ("workflowtemplates",), ("get", "list", "watch"), "reads the forms"),
        Rule(ARGO, ("cronworkflows",), ("get", "list", "watch"), "sees what is scheduled"),
        Rule(CORE, ("pods", "pods/log"), ("get", "list", "watch"), "reads logs of running pods"),
        Rule(CORE, ("events",), ("list", "watch"), "sees why a pod does not start"),
    ),
)
TRIGGER = Role(
    "cnibench-trigger",
    "who starts a run by an HTTP request",
    (
        Rule(ARGO, ("workfloweventbindings",), ("list",), "finds what a request starts"),
        Rule(ARGO, ("workflowtemplates",), ("get",), "reads the form that it fills"),
        Rule(ARGO, ("workflows",), ("create",), "starts the run"),
    ),
)
ROLES = (BLOCK, CAMPAIGN, PERSON, TRIGGER)


def access() -> list[dict[str, Any]]:
    """Service account, role and binding of each role."""
    return [document for role in ROLES for document in _documents(role)]


def rights_page() -> str:
    """The page of the docs, in Markdown."""
    head = (
        "# Rights\n\nGenerated from `workflows/access.py` by `make docs`. On the cluster on which "
        "Argo runs, in its\nnamespace only; nothing is granted on the whole cluster.\n\n"
        "| service account | who has it | may | on | because it |\n|---|---|---|---|---|\n"
    )
    return head + "".join(_lines(role) for role in ROLES)


def _lines(role: Role) -> str:
    return "".join(
        f"| `{role.name}` | {role.who} | {', '.join(rule.verbs)} | {_resources(rule)} | "
        f"{rule.reason} |\n"
        for rule in role.rules
    )


def _resources(rule: Rule) -> str:
    return ", ".join(f"`{name}`" for name in rule.resources)


def _documents(role: Role) -> Sequence[dict[str, Any]]:
    metadata = {"name": role.name, "labels": LABELS}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [_rule(rule) for rule in role.rules],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role.name},
            "subjects": [{"kind": "ServiceAccount", "name": role.name}],
        },
    ]


def _rule(rule: Rule) -> dict[str, list[str]]:
    return {
        "apiGroups": [rule.group],
        "resources": list(rule.resources),
        "verbs": list(rule.verbs),
    }


if __name__ == "__main__":
    PAGE.write_text(rights_page(), encoding="utf-8")
