"""Stage 6: measure a group of cells, one after the other, and store each as it ends."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib import progress
from steps.lib.cell_groups import cells_of
from steps.lib.context import Context
from steps.lib.errors import (
    CnibenchError,
    InputError,
    OwnershipError,
    RefusedError,
    TransientError,
)
from steps.lib.measure import failed, measure
from steps.lib.measured import Measured
from steps.lib.stage import BlockInput, stage
from steps.lib.store import measured_cells, store_measurement

LOG = logging.getLogger("cnibench")

NOTHING = "all were measured before"

STORE_PATIENCE_S = 150.0
STORE_INTERVAL_S = 10.0
"""A store may be restarted. What was measured is not thrown away for that."""

SLOW_STORE_S = 2.0
"""Storing a cell takes some hundredths of a second. What takes so long is worth a remark."""


@dataclass
class Tally:
    """How the cells of a group went so far, in words for whoever looks at the pod."""

    cells: int
    statuses: Counter[str] = field(default_factory=Counter)
    storing_s: float = 0.0

    @property
    def summary(self) -> str:
        """Cells by status."""
        found = ", ".join(f"{n} {s}" for s, n in self.statuses.items())
        return f"{found or NOTHING}{self._store}"

    @property
    def stored(self) -> str:
        """What is safe, whatever went wrong."""
        return f"stored: {self.statuses.total()} of {self.cells} cells{self._store}"

    @property
    def _store(self) -> str:
        mean_s = self.storing_s / max(1, self.statuses.total())
        slow = f"; the store was slow, or away: {mean_s:.1f} s to store a cell"
        return slow if mean_s > SLOW_STORE_S else ""


class RunCellsInput(BlockInput):
    """Some cells of the block."""

    group: Annotated[
        str, Parameter(name="group", description="Cells to run in one pod, by planned order")
    ]


class RunCellsOutput(Output):
    """How it went."""

    summary: Annotated[str, Parameter(name="summary", description="Cells by status")]


@stage(deadline_s=4 * 3600, retries=2)
def run_cells(cells_input: RunCellsInput) -> RunCellsOutput:
    """Run each cell between fresh endpoints, judge it, store it once.

    Reads: the plugin's fingerprint, before and after each cell; which cells are stored already.
    Writes: raw output, intervals, and last the measurement, which makes the others visible; in the
    block's state whether the first reference had its connections tracked.
    Fails when: the target changed hands, or store or target do not answer. A cell that cannot be
    run, or did not measure what its name says, is a stored row, not a failure.
    """
    context = cells_input.open()
    done = measured_cells(context.store, context.campaign, context.block_id)
    to_do = cells_of(context.block, cells_input.group, done)
    tally = Tally(len(to_do))
    errors: dict[str, CnibenchError] = {}
    if not to_do:
        LOG.info("block=%s group=%s: %s", context.block_id, cells_input.group, NOTHING)
    for number, cell in enumerate(to_do, start=1):
        progress.tell(progress.Cell(cell))
        try:
            status = _run_cell(context, cell, tally)
        except (InputError, OwnershipError) as error:
            # Every other cell would meet the same.
            raise type(error)(f"{cell}: {error} ({tally.stored})") from error
        except CnibenchError as error:
            # The next cell may well succeed; what was missed is tried again with the whole group.
            errors[cell] = error
            status = f"failed: {error}"
        progress.tell(progress.Cell(cell, status, number, len(to_do)))
        if cell in errors and not _answer(context):
            break
    _raise_first(errors, tally)
    return RunCellsOutput(summary=tally.summary)


def _run_cell(context: Context, cell: str, tally: Tally) -> str:
    """Measure and store a cell; its status."""
    planned, state = context.block.cell(cell), context.state()
    installed = context.target.installation()
    if installed is None or installed.fingerprint != state.plugin_fingerprint:
        raise OwnershipError(
            f"target {context.target.name} no longer carries what block {context.block_id} "
            "installed; somebody changed it. Start the block again"
        )
    measured: Measured
    try:
        measured = measure(context, planned, state)
    except RefusedError as error:
        measured = failed(context, planned, state, str(error))
    started = time.monotonic()
    _store(context, measured)
    status = str(measured.row["status"])
    tally.storing_s += time.monotonic() - started
    tally.statuses[status] += 1
    if planned.role == "reference" and state.baseline_tracked is None:
        context.update(baseline_tracked=measured.row.get("connections_tracked"))
    return status


def _store(context: Context, measured: Measured) -> None:
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            store_measurement(
                context.store, measured.row, measured.intervals, measured.histogram, measured.raw
            )
            return
        except TransientError as error:
            if time.monotonic() > deadline:
                raise
            LOG.warning("the store is asked again: %s", error)
        time.sleep(STORE_INTERVAL_S)


def _answer(context: Context) -> bool:
    """Whether target and store answer; else every other cell would fail for the same reason."""
    try:
        measured_cells(context.store, context.campaign, context.block_id)
        context.state()
    except TransientError:
        return False
    return True


def _raise_first(errors: dict[str, CnibenchError], tally: Tally) -> None:
    """Raise one of the kind that is tried again, if there is one, else one that is not."""
    if not errors:
        return
    transient = any(isinstance(error, TransientError) for error in errors.values())
    kind = TransientError if transient else RefusedError
    said = "; ".join(f"{cell}: {error}" for cell, error in errors.items())
    raise kind(f"{said} ({tally.stored})")
