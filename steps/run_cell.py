"""Stage 6: measure one cell and store it."""

from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.errors import OwnershipError, RefusedError
from steps.lib.measure import Measured, failed, measure
from steps.lib.stage import BlockInput, stage
from steps.lib.store import measured_cells, store_measurement


class RunCellInput(BlockInput):
    """One cell of the block."""

    cell: Annotated[str, Parameter(name="cell", description="Id of the cell: path.traffic")]


class RunCellOutput(Output):
    """How it went."""

    status: Annotated[
        str, Parameter(name="status", description="ok, invalid, noisy, failed, or present")
    ]


@stage(deadline_s=1800, retries=2)
def run_cell(cell_input: RunCellInput) -> RunCellOutput:
    """Run one cell between fresh endpoints, judge it, store it once.

    Reads: the plugin's fingerprint, before and after.
    Writes: raw output, intervals, and last the measurement, which makes the others visible.
    Fails when: the target changed hands, or store or target do not answer. A cell that cannot be
    run, or did not measure what its name says, is a stored row, not a failure.
    """
    context = cell_input.open()
    planned = context.block.cell(cell_input.cell)
    if planned.id in measured_cells(context.store, context.job.campaign.name, context.block.id):
        return RunCellOutput(status="present")
    state = context.state()
    installed = context.target.installation()
    if installed is None or installed.fingerprint != state.plugin_fingerprint:
        raise OwnershipError(
            f"target {context.target.name} no longer carries what block {context.block.id} "
            "installed; somebody changed it. Start the block again"
        )
    measured: Measured
    try:
        measured = measure(context, planned, state)
    except RefusedError as error:
        measured = failed(context, planned, state, str(error))
    store_measurement(context.store, measured.row, measured.intervals, [], measured.raw)
    return RunCellOutput(status=str(measured.row["status"]))
