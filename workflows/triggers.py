"""What starts campaigns without a person: the clock, and a request to Argo's server."""

from typing import Any

from hera.workflows import CronWorkflow
from hera.workflows import models as m

from workflows import campaign, parts
from workflows.labels import LABELS

NIGHTLY = "cnibench-nightly"
NIGHTLY_DESCRIPTION = (
    "Runs `cnibench-campaign` with its default values every night, each night under a new name. It "
    "is suspended until somebody resumes it: a night's run replaces the network of the target."
)
SCHEDULE = "17 1 * * *"

REQUEST = "cnibench"
NEEDED = "plugin"
FIELDS = ("plugin", "profile", "matrix", "target", "repeats", "name")
"""What a request may say; everything else keeps the form's default."""


def nightly() -> dict[str, Any]:
    """The CronWorkflow, suspended."""
    cron = CronWorkflow(
        name=NIGHTLY,
        labels=LABELS,
        annotations=parts.titles("Nightly campaign", NIGHTLY_DESCRIPTION),
        schedules=[SCHEDULE],
        timezone="UTC",
        concurrency_policy="Forbid",
        cron_suspend=True,
        starting_deadline_seconds=3600,
        successful_jobs_history_limit=7,
        failed_jobs_history_limit=7,
        workflow_template_ref=m.WorkflowTemplateRef(name=campaign.CAMPAIGN),
    )
    document: dict[str, Any] = cron.to_dict()
    return document


def request_binding() -> dict[str, Any]:
    """What a ``POST /api/v1/events/<namespace>/cnibench`` starts: one plugin, measured now.

    A field that the request leaves out has the form's default.
    """
    form = campaign.plugin_template()["spec"]["arguments"]["parameters"]
    defaults = {p["name"]: p["value"] for p in form if p["name"] in FIELDS}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowEventBinding",
        "metadata": {"name": REQUEST, "labels": LABELS},
        "spec": {
            "event": {"selector": f"discriminator == '{REQUEST}' && payload.{NEEDED} != nil"},
            "submit": {
                "workflowTemplateRef": {"name": campaign.PLUGIN},
                "arguments": {"parameters": [_field(*field) for field in defaults.items()]},
            },
        },
    }


def _field(name: str, default: str) -> dict[str, Any]:
    expression = f"payload.{name}" if name == NEEDED else f"payload.{name} ?? {default!r}"
    return {"name": name, "valueFrom": {"event": expression}}
