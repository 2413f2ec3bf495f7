"""Campaigns as Argo WorkflowTemplates, which are also the submit forms of its UI.

There are two, since a form shows all parameters of its template: ``cnibench-plugin`` measures one
plugin now, ``cnibench-campaign`` compares many. Both make the campaign from what was chosen, and
run its blocks, each one a workflow of its own.
"""

from collections.abc import Sequence
from typing import Any

from hera.workflows import DAG, Parameter, WorkflowTemplate
from hera.workflows import models as m

from steps.collect_campaign import collect_campaign
from steps.leave_target import leave_target
from steps.lib.catalog import Catalog, origins
from steps.lib.estimate import cell_time_s
from steps.lib.models import Matrix, Plugin
from steps.pipeline import Stage, input_model
from steps.plan_blocks import plan_blocks
from steps.write_report import write_report
from workflows import block, catalog_map, parts
from workflows.labels import LABELS

CAMPAIGN = "cnibench-campaign"
PLUGIN = "cnibench-plugin"

PLAN = Stage(plan_blocks)
RUN_BLOCK = "run-block"
COLLECT = Stage(collect_campaign)
REPORT = Stage(write_report)
LEAVE = Stage(leave_target)

ITEM = "block"
ARGUMENTS = {
    "campaign": "workflow.outputs.parameters.campaign",
    ITEM: f"inputs.parameters.{ITEM}",
    "store": "workflow.parameters.store",
    "target": "workflow.outputs.parameters.where",
    "holder": parts.THIS,
}
"""Of a block's workflow, as expressions; ``PLAN`` puts out for the whole workflow what is its."""

DEADLINE_S = 30 * 24 * 3600
BLOCK_DEADLINE_S = 2 * block.DEADLINE_S
"""A block may first have to wait for one that was submitted by hand."""

STORE = "s3://cnibench"
REPEATS = "5"
SEED = "1"
UNTUNED = "base"
"""The profile that changes nothing."""

END = (
    "Results are in the store after each cell; with the name of an earlier campaign only what is "
    "missing is run. To end it early use **Stop**, then Stop the block that runs."
)
CAMPAIGN_DESCRIPTION = f"Compares plugins, each on nodes tuned by each profile. {END}"
PLUGIN_DESCRIPTION = f"Measures one plugin on nodes tuned by one profile. {END}"

NAME = "workflow.parameters.name == '' ? workflow.name : workflow.parameters.name"


def campaign_template() -> dict[str, Any]:
    """The WorkflowTemplate ``cnibench-campaign``: lists are texts, since forms know no lists."""
    fields = {
        "name": {"value": ""},
        "plugins": {"value": ", ".join(_locked(_plugins()))},
        "profiles": {"value": UNTUNED},
    }
    return _template(CAMPAIGN, "Compare plugins", CAMPAIGN_DESCRIPTION, fields, {}, {})


def plugin_template() -> dict[str, Any]:
    """The WorkflowTemplate ``cnibench-plugin``: drop-downs only."""
    fields = {
        "plugin": {
            "description": "Plugin to measure",
            **_choice(_locked(_plugins())),
            # Who sends off the form untouched measures what all others are compared with.
            "value": next(plugin.name for plugin in _plugins() if plugin.baseline),
        },
        "profile": _choice(Catalog().profiles.names)
        | {"description": "How nodes are tuned", "value": UNTUNED},
    }
    given = {n: parts.workflow_parameter(n.removesuffix("s")) for n in ("plugins", "profiles")}
    labels = {n: f"workflow.parameters.{n}" for n in ("plugin", "profile")}
    return _template(PLUGIN, "Measure one plugin", PLUGIN_DESCRIPTION, fields, given, labels)


def _template(
    name: str,
    title: str,
    description: str,
    fields: dict[str, dict[str, Any]],
    given: dict[str, str],
    labels: dict[str, str],
) -> dict[str, Any]:
    """A form with some fields of its own, first, and those that both have."""
    form = fields | _common_fields(with_name="name" not in fields)
    known = {field: parts.workflow_parameter(field) for field in form} | given
    with WorkflowTemplate(
        name=name,
        labels=LABELS,
        annotations=parts.titles(title, description),
        entrypoint="campaign",
        on_exit="leave",
        arguments=_parameters(form),
        service_account_name="cnibench-block",
        # Not the lock of the blocks, or they would wait for their own campaign for ever.
        synchronization=parts.exclusive(f"campaign-{known['target']}"),
        parallelism=1,
        active_deadline_seconds=DEADLINE_S,
        pod_gc=m.PodGC(strategy="OnPodSuccess"),
        workflow_metadata=parts.metadata(
            f"{{{{={NAME}}}}} on {known['target']}",
            description,
            {"campaign": NAME, "target": "workflow.parameters.target"} | labels,
        ),
    ) as template:
        _campaign(known)
        with DAG(name="leave"):
            parts.task(LEAVE, known)
    document = catalog_map.mount(parts.finished(template.to_dict(), known["target"]))
    return _with_locks(document, f"target-{known['target']}")


def _with_locks(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Have what a campaign itself does to the target wait for blocks: those of others, and its own.

    A campaign that is stopped comes to its end while its block still runs.
    """
    lock = {"mutexes": [{"name": name}]}
    for template in document["spec"]["templates"]:
        if template["name"] in (PLAN.name, LEAVE.name):
            template["synchronization"] = lock
    return document


def _campaign(known: dict[str, str]) -> None:
    run_block = parts.run_workflow(RUN_BLOCK, block.NAME, ITEM, ARGUMENTS, BLOCK_DEADLINE_S)
    # All are named, or a campaign with failed blocks would count as succeeded with its report.
    targets = f"{PLAN.name} {RUN_BLOCK} {COLLECT.name} {REPORT.name}"
    with DAG(name="campaign", fail_fast=False, parallelism=1, target=targets):
        planned = parts.task(PLAN, known | {"workflow": "{{workflow.name}}"})
        put_out = {n: str(planned.get_parameter(n).value) for n in ("campaign", "where")}
        blocks = run_block(
            name=RUN_BLOCK,
            with_param=planned.get_parameter("blocks"),
            arguments={ITEM: "{{item}}"},
        )
        collected = parts.task(COLLECT, known | put_out)
        reported = parts.task(REPORT, known | put_out)
        planned >> blocks
        # Whatever became of the blocks, and also where none was left to run.
        collected.depends = f"{PLAN.name}.Succeeded && ({parts.ended(blocks.name)})"
        # It is read just as well from what is not collected.
        reported.depends = f"{PLAN.name}.Succeeded && ({parts.ended(collected.name)})"


def _common_fields(*, with_name: bool) -> dict[str, dict[str, Any]]:
    catalog = Catalog()
    fields = {
        "matrix": _choice(_matrices()),
        "target": _choice(catalog.targets.names),
        "repeats": {"value": REPEATS},
        "seed": {"value": SEED},
        "store": {"value": STORE},
    }
    return fields | ({"name": {"value": ""}} if with_name else {})


def _plugins() -> list[Plugin]:
    """What can be installed on a target that the form offers."""
    kinds = {target.kind for target in Catalog().targets}
    return [plugin for plugin in Catalog().plugins if kinds & set(plugin.targets)]


def _locked(plugins: Sequence[Plugin]) -> list[str]:
    """Names of those that can be installed as they are: each source has a digest on record."""
    return [plugin.name for plugin in plugins if all(o.digest for o in origins(plugin))]


def _matrices() -> list[str]:
    """Names of all, the shortest first: who just tries a form has not to wait long."""
    return [matrix.name for matrix in sorted(Catalog().matrices, key=_expected_s)]


def _expected_s(matrix: Matrix) -> float:
    return sum(cell_time_s(cell.traffic) for cell in matrix.cells)


def _choice(names: Sequence[str]) -> dict[str, Any]:
    return {"value": names[0], "enum": list(names)}


def _parameters(form: dict[str, dict[str, Any]]) -> list[Parameter]:
    """The form, field by field, described as the stage describes its inputs."""
    known = parts.descriptions(input_model(PLAN))
    return [
        Parameter(**{"name": name, "description": known.get(name), **field})
        for name, field in form.items()
    ]
