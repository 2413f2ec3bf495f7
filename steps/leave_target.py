"""Last stage of a campaign on Argo: take off the target all that serves whole campaigns."""

from hera.workflows import Output

from steps.lib.settle import release
from steps.lib.stage import TargetInput, stage
from steps.lib.targets import open_target


class LeaveTargetInput(TargetInput):
    """See ``TargetInput``."""


class LeaveTargetOutput(Output):
    """Nothing."""


@stage(deadline_s=1800, retries=2)
def leave_target(leave_input: LeaveTargetInput) -> LeaveTargetOutput:
    """Put back what a block may have left, and take our pods and namespace away.

    Reads: the state of a block that was ended before its own end.
    Writes: the target.
    Fails when: the target does not answer, or somebody outside of this campaign holds it, who does
    this at the end. On Argo it waits for a block that still runs, by the lock of the target.
    """
    release(open_target(leave_input.spec()))
    return LeaveTargetOutput()
