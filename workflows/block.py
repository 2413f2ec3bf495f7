"""One block as an Argo WorkflowTemplate, made by a loop over the pipeline's declaration.

The stages stand in one DAG, in order. Those that put things back run there whatever happened before
them, and again as exit handler when the DAG did not succeed: it may have been stopped, or have met
its deadline, before it came to them. A block that has nothing to put back makes them do nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hera.workflows import DAG, Parameter, WorkflowTemplate
from hera.workflows import models as m

from steps.lib.stage import BlockInput
from steps.pipeline import BLOCK, Stage, output_model
from workflows import parts
from workflows.labels import LABELS

NAME = "cnibench-block"
PARAMETERS = ("campaign", "block", "store", "target", "holder")
HOLDER = Parameter(
    name="holder",
    value="",
    description="Campaign whose blocks may take the target over from each other; empty: none",
)
TARGET = "{{=jsonpath(workflow.parameters.target, '$.name')}}"
DEADLINE_S = 12 * 3600
"""A block that takes longer hangs: stages have limits of their own."""

DESCRIPTION = (
    "Installs one plugin, applies one profile, runs the cells that are still missing, and puts "
    "everything back. To end it early use **Stop**, not Terminate: only Stop puts things back."
)
HELD_BY = f"{{{{=workflow.parameters.holder == '' ? {parts.THIS} : workflow.parameters.holder}}}}"


def block_template() -> dict[str, Any]:
    """The WorkflowTemplate ``cnibench-block``."""
    with WorkflowTemplate(
        name=NAME,
        labels=LABELS,
        annotations=parts.titles("Block", DESCRIPTION),
        entrypoint="block",
        on_exit="restore",
        arguments=[*parts.parameters(BlockInput, PARAMETERS[:-1]), HOLDER],
        service_account_name="cnibench-block",
        # The lock is held until the exit handler has ended, so no other block meets a target that
        # is being put back.
        synchronization=parts.exclusive(f"target-{TARGET}"),
        parallelism=1,
        active_deadline_seconds=DEADLINE_S,
        pod_gc=m.PodGC(strategy="OnPodSuccess"),
        workflow_metadata=parts.metadata(
            f"{parts.workflow_parameter('block')} on {TARGET}",
            DESCRIPTION,
            {
                "campaign": "workflow.parameters.campaign",
                "target": "jsonpath(workflow.parameters.target, '$.name')",
            }
            | {
                name: f"split(workflow.parameters.block, '.')[{index}]"
                for index, name in enumerate(("plugin", "profile", "repeat"))
            },
        ),
    ) as template:
        _dag("block", BLOCK)
        _dag("restore", [s for s in BLOCK if s.always], when="{{workflow.status}} != Succeeded")
    return _with_display_names(parts.finished(template.to_dict(), TARGET, HELD_BY))


def _dag(name: str, stages: Sequence[Stage], when: str | None = None) -> None:
    # Argo takes the state of the last task for that of the DAG unless all are named as targets: a
    # block that failed and was put back would count as succeeded.
    targets = " ".join(stage.name for stage in stages)
    known = {name: parts.workflow_parameter(name) for name in PARAMETERS}
    with DAG(name=name, fail_fast=False, parallelism=1, target=targets):
        for index, stage in enumerate(stages):
            task = parts.task(stage, known)
            task.depends = _depends(stages[:index], stage)
            task.when = when or _when(stage, known)
            if stage.for_each is None and not stage.always:
                known |= _outputs(stage)


def _when(stage: Stage, known: Mapping[str, str]) -> str | None:
    """What must hold for a stage to have anything to do, where that is known."""
    if stage.only_if is None or stage.only_if not in known:
        return None
    return f"{known[stage.only_if]} == true"


def _outputs(stage: Stage) -> dict[str, str]:
    # Hera's own two fields are no parameters.
    names = set(output_model(stage).model_fields) - {"exit_code", "result"}
    return {n: f"{{{{tasks.{stage.name}.outputs.parameters.{n}}}}}" for n in sorted(names)}


def _depends(before: Sequence[Stage], stage: Stage) -> str | None:
    """What must have happened before a stage starts."""
    if not before:
        return None
    first, last = before[0], before[-1]
    if stage.always:
        ended = parts.ended(last.name)
        # A block whose first stage failed has not claimed the target: nothing of it is there.
        return ended if first.always else f"{first.name}.Succeeded && ({ended})"
    if last.for_each:
        return parts.ended(last.name, parts.ENDED[:-1])
    return parts.ended(last.name, ("Succeeded", "Skipped") if last.only_if else ("Succeeded",))


def _with_display_names(document: dict[str, Any]) -> dict[str, Any]:
    """Show each item under its own name. Hera can annotate only the pod, not the node."""
    items = {s.name: s.for_each.item for s in BLOCK if s.for_each}
    for template in document["spec"]["templates"]:
        if template["name"] in items:
            shown = f"{{{{inputs.parameters.{items[template['name']]}}}}}"
            template["annotations"] = {"workflows.argoproj.io/display-name": shown}
    return document
