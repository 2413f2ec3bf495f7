"""A campaign as an Argo WorkflowTemplate: a list of blocks, each one a workflow of its own."""

from typing import Any

from hera.workflows import DAG, WorkflowTemplate
from hera.workflows import models as m

from steps.pipeline import Stage
from steps.plan_blocks import plan_blocks
from workflows import block, parts

NAME = "cnibench-campaign"
PARAMETERS = ("job", "store", "target")
PLAN = Stage(plan_blocks)
DEADLINE_S = 30 * 24 * 3600
BLOCK_DEADLINE_S = 2 * block.DEADLINE_S
"""A block may first have to wait for one that was submitted by hand."""

DESCRIPTION = (
    "Runs every block of a campaign that still lacks measurements, one after the other. Submit the "
    "same job again to resume it. To end it early use **Stop**, then Stop the block that runs."
)


def campaign_template() -> dict[str, Any]:
    """The WorkflowTemplate ``cnibench-campaign``."""
    known = {name: parts.workflow_parameter(name) for name in PARAMETERS}
    with WorkflowTemplate(
        name=NAME,
        labels=parts.LABELS,
        annotations=parts.titles("Campaign", DESCRIPTION),
        entrypoint="campaign",
        arguments=parts.parameters(PARAMETERS),
        service_account_name="cnibench-campaign",
        # Not the lock of the blocks, or they would wait for their own campaign for ever.
        synchronization=parts.exclusive(f"campaign-{known['target']}"),
        parallelism=1,
        active_deadline_seconds=DEADLINE_S,
        pod_gc=m.PodGC(strategy="OnPodSuccess"),
        workflow_metadata=parts.metadata(
            "{{=jsonpath(workflow.parameters.job, '$.campaign.title')}}", DESCRIPTION, {}
        ),
    ) as template:
        run_block = parts.run_workflow("run-block", block.NAME, block.PARAMETERS, BLOCK_DEADLINE_S)
        with DAG(name="campaign", fail_fast=False, parallelism=1):
            planned = parts.task(PLAN, known)
            blocks = run_block(
                name="run-block",
                with_param=planned.get_parameter("blocks"),
                arguments=known | {"block": "{{item}}"},
            )
            planned >> blocks
    return parts.with_access(template.to_dict())
