"""The submit form of the Argo UI: a campaign made of drop-downs and short texts."""

from typing import Any, get_args

from hera.workflows import DAG, Parameter, WorkflowTemplate
from hera.workflows import models as m

from steps.lib.catalog import Catalog
from steps.lib.models import TargetKind
from steps.make_job import make_job
from steps.pipeline import Stage, input_model
from workflows import campaign, parts

NAME = "cnibench-form"
MAKE = Stage(make_job)

DESCRIPTION = (
    "Makes a campaign of what is chosen here and runs it as `cnibench-campaign`. "
    "The form lists what the catalog held when it was rendered."
)


def form_template() -> dict[str, Any]:
    """The WorkflowTemplate ``cnibench-form``."""
    form = _parameters(Catalog())
    known = {
        str(parameter.name): parts.workflow_parameter(str(parameter.name)) for parameter in form
    }
    with WorkflowTemplate(
        name=NAME,
        labels=parts.LABELS,
        annotations=parts.titles("New campaign", DESCRIPTION),
        entrypoint="form",
        arguments=form,
        service_account_name="cnibench-campaign",
        active_deadline_seconds=campaign.DEADLINE_S,
        pod_gc=m.PodGC(strategy="OnPodSuccess"),
        workflow_metadata=m.WorkflowMetadata(annotations=parts.titles(known["name"], DESCRIPTION)),
    ) as template:
        run_campaign = parts.run_workflow(
            "run-campaign", campaign.NAME, campaign.PARAMETERS, campaign.DEADLINE_S
        )
        with DAG(name="form", fail_fast=False):
            made = parts.task(MAKE, known)
            given = known | {"job": made.get_parameter("job").value}
            started = run_campaign(
                name="run-campaign", arguments={n: given[n] for n in campaign.PARAMETERS}
            )
            made >> started
    return parts.with_access(template.to_dict())


def _parameters(catalog: Catalog) -> list[Parameter]:
    """The form, field by field: the stage's own descriptions, and what can be chosen."""
    profiles, matrices = catalog.profiles.names, catalog.matrices.names
    kinds = get_args(TargetKind)
    choices: dict[str, dict[str, Any]] = {
        "plugins": {"value": ", ".join(catalog.plugins.names)},
        "profiles": {"value": ", ".join(profiles)},
        "matrix": {"value": matrices[0], "enum": list(matrices)},
        "repeats": {"value": "5"},
        "seed": {"value": "1"},
        "kind": {"value": kinds[-1], "enum": list(kinds)},
        "context": {"value": ""},
    }
    fields = [
        Parameter(name=name, description=description, **choices.get(name, {}))
        for name, description in parts.descriptions(input_model(MAKE)).items()
    ]
    return [*fields, *parts.parameters(["store"])]
