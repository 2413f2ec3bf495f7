"""First stage of a campaign: list the blocks that still lack measurements, in their order."""

from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.manifest import plan_on, register
from steps.lib.missing import unmeasured_cells
from steps.lib.stage import CampaignInput, stage
from steps.lib.store import open_store
from steps.lib.targets import open_target


class PlanBlocksInput(CampaignInput):
    """See ``CampaignInput``."""


class PlanBlocksOutput(Output):
    """What is left to do."""

    blocks: Annotated[
        list[str], Parameter(name="blocks", description="Ids of blocks to run, in order")
    ]


@stage(deadline_s=300, retries=2)
def plan_blocks(plan_input: PlanBlocksInput) -> PlanBlocksOutput:
    """Compare the plan with the store; blocks with nothing missing are not started.

    Reads: keys of the campaign's measurements.
    Writes: the campaign's manifest and planned cells (once per campaign).
    Fails when: the store holds another campaign of this name, or does not answer.
    """
    store = open_store(plan_input.store)
    target = open_target(plan_input.job.campaign.target)
    register(plan_input.job, target, store)
    blocks = plan_on(plan_input.job, target).blocks
    return PlanBlocksOutput(blocks=[b.id for b in blocks if unmeasured_cells(b, store)])
