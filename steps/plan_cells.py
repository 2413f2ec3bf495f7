"""Stage 5: list the cells that are still to be measured, in their planned order."""

from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.missing import missing_cells
from steps.lib.stage import BlockInput, stage


class PlanCellsInput(BlockInput):
    """See ``BlockInput``."""


class PlanCellsOutput(Output):
    """What is left to do."""

    cells: Annotated[
        list[str], Parameter(name="cells", description="Ids of cells to run, in order")
    ]


@stage(deadline_s=120, retries=2)
def plan_cells(plan_input: PlanCellsInput) -> PlanCellsOutput:
    """Compare the plan with the store.

    Reads: keys of the block's measurements.
    Writes: nothing.
    Fails when: the store does not answer.
    """
    context = plan_input.open()
    return PlanCellsOutput(cells=missing_cells(context.block, context.target, context.store))
