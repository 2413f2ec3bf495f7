"""Stage 9: write what the block was, as rows, and release the target."""

from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.blocks import write_block, write_nodes
from steps.lib.context import Context
from steps.lib.missing import unmeasured_cells
from steps.lib.settle import failures_of
from steps.lib.stage import BlockInput, stage
from steps.lib.state import BlockState
from steps.lib.store import read_measurement

STAGES = {"install_s": "install-plugin", "ready_s": "verify-plugin", "remove_s": "remove-plugin"}
TUNING_STAGES = {"tune_s": "tune-nodes", "restore_s": "restore-nodes"}
"""Each time is set by a stage that ended; a pod that was killed from outside notes no failure."""


class CollectInput(BlockInput):
    """See ``BlockInput``."""


class CollectOutput(Output):
    """How the block went."""

    status: Annotated[str, Parameter(name="status", description="ok, failed, drifted or released")]


@stage(deadline_s=300, retries=2)
def collect(collect_input: CollectInput) -> CollectOutput:
    """Write the block's row and one row per node.

    Reads: the block's state; the two reference measurements.
    Writes: tables ``blocks`` and ``nodes``; then forgets the block on the target, unless settings
    of it are still in force.
    Fails when: the store does not answer.
    """
    context = collect_input.open()
    if not context.holds_target():
        return CollectOutput(status="released")
    # The row says what the block was: that it is written at the second try is no part of that.
    context.forget_failure(collect.__name__)
    state = context.state()
    ratio = _drift_ratio(context, state)
    status, reason = _verdict(context, state, ratio)
    # First what no node is asked for: a dead one must not cost the block's row.
    write_block(context.store, state, status, reason, ratio)
    write_nodes(context.store, state, context.target)
    if not state.journal:
        context.target.save_state(None)
    return CollectOutput(status=status)


def _verdict(context: Context, state: BlockState, ratio: float | None) -> tuple[str, str | None]:
    if state.failures:
        return "failed", failures_of(state)
    expected = STAGES | (TUNING_STAGES if context.block.profile.entries else {})
    unfinished = [stage for time_s, stage in expected.items() if getattr(state, time_s) is None]
    if unfinished:
        return "failed", f"it was ended before these stages were through: {', '.join(unfinished)}"
    missing = unmeasured_cells(context.block, context.store)
    if missing:
        return "failed", f"it was ended before {len(missing)} cells were run, first {missing[0]}"
    limit = context.job.matrix.limits.drift_percent_max
    if ratio is not None and abs(ratio - 1) * 100 > limit:
        return "drifted", f"reference changed by a factor of {ratio:.3f}, limit {limit} %"
    if ratio is None and context.job.matrix.reference:
        return "ok", "drift is not known: this install has no two sound references"
    return "ok", None


def _drift_ratio(context: Context, state: BlockState) -> float | None:
    """Reference at the end of this install against its start; None without both."""
    rows = [
        read_measurement(context.store, state.campaign, state.block, cell.id)
        for cell in context.block.cells
        if cell.role == "reference"
    ]
    rates = [
        row["throughput_bits_per_s"] or row["transactions_per_s"]
        for row in rows
        if row and row["install_id"] == state.install_id and row["status"] == "ok"
    ]
    return rates[1] / rates[0] if len(rates) == 2 else None
