"""Stage 7: put every setting back and prove it. It always runs where a profile has any."""

import time

from hera.workflows import Output

from steps.lib.errors import RefusedError
from steps.lib.restoring import restore
from steps.lib.stage import BlockInput, stage


class RestoreNodesInput(BlockInput):
    """See ``BlockInput``."""


class RestoreNodesOutput(Output):
    """Nothing: the journal in the block's state is empty afterwards."""


@stage(deadline_s=300, retries=2)
def restore_nodes(restore_input: RestoreNodesInput) -> RestoreNodesOutput:
    """Undo the journal in reverse order, reading every value back.

    Reads: the journal.
    Writes: settings of the nodes; the journal, emptied. Idempotent.
    Fails when: a value cannot be put back, or somebody else changed it meanwhile.
    """
    context = restore_input.open()
    if not context.holds_target():
        return RestoreNodesOutput()
    started = time.monotonic()
    _, problems = restore(context.target, context.state())
    context.update(restore_s=time.monotonic() - started)
    if problems:
        raise RefusedError("settings are not as before:\n  " + "\n  ".join(problems))
    return RestoreNodesOutput()
