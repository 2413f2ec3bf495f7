"""Stage 5: list the cells that are still to be measured, in their planned order."""

from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.cell_groups import cell_groups
from steps.lib.evidence import offloads
from steps.lib.missing import missing_cells
from steps.lib.stage import BlockInput, stage
from steps.lib.tuning import kept_settings


class PlanCellsInput(BlockInput):
    """See ``BlockInput``."""


class PlanCellsOutput(Output):
    """What is left to do."""

    groups: Annotated[
        list[str], Parameter(name="groups", description="Cells to run, in order, by pod")
    ]


@stage(deadline_s=120, retries=2)
def plan_cells(plan_input: PlanCellsInput) -> PlanCellsOutput:
    """Compare the plan with the store.

    Reads: keys of the block's measurements; what the nodes' devices offload; settings of the nodes.
    Writes: the latter two in the block's state, once: no cell may find them changed.
    Fails when: the store or the target does not answer.
    """
    context = plan_input.open()
    state = context.state()
    if state.offloads is None:
        context.update(
            offloads=offloads(context.target, context.block.plugin),
            settings=kept_settings(context.target, state.tuned),
        )
    missing = missing_cells(context.block, context.target, context.store)
    return PlanCellsOutput(groups=cell_groups(context.block, missing))
