"""Stage 4: put the profile in force on every node."""

import time

from hera.workflows import Output

from steps.lib.stage import BlockInput, stage
from steps.lib.tuning import apply_profile


class TuneNodesInput(BlockInput):
    """See ``BlockInput``."""


class TuneNodesOutput(Output):
    """Nothing: the journal is in the block's state."""


@stage(deadline_s=300)
def tune_nodes(tune_input: TuneNodesInput) -> TuneNodesOutput:
    """Read, record, set and read back every entry of the profile; not run where it has none.

    Reads: the values in force.
    Writes: settings of the nodes; the journal that undoes them, before each change.
    Fails when: a node lacks a setting, or a value does not take; then nothing stays changed.
    """
    context = tune_input.open()
    started = time.monotonic()
    apply_profile(context.target, context.state(), context.block.profile)
    context.update(tune_s=time.monotonic() - started)
    return TuneNodesOutput()
