"""Stage 1: prove that the block can run, undo what a crash left, and claim the target."""

import uuid
from datetime import UTC, datetime

from hera.workflows import Output

from steps.lib.context import Context
from steps.lib.environment import environment_fingerprint
from steps.lib.manifest import register, require
from steps.lib.settle import settle
from steps.lib.stage import BlockInput, stage
from steps.lib.state import BlockState


class PreflightInput(BlockInput):
    """See ``BlockInput``."""


class PreflightOutput(Output):
    """Nothing: what later stages need is on the target."""


@stage(deadline_s=300, retries=2)
def preflight(preflight_input: PreflightInput) -> PreflightOutput:
    """Bring the target into a known state.

    Reads: rights, programs and kernel of the target; the state a crashed block may have left.
    Writes: the campaign's manifest and planned cells (once per campaign); the block's state.
    Fails when: something is missing, the store holds another campaign of this name, or settings
    that a crashed block changed cannot be put back.
    """
    context = preflight_input.open()
    require(context.target)
    register(context.job, context.target, context.store)
    settle(context.target)
    context.target.prepare()
    _claim(context)
    return PreflightOutput()


def _claim(context: Context) -> None:
    target = context.target
    nodes = target.nodes()
    state = BlockState(
        campaign=context.job.campaign.name,
        block=context.block.id,
        plugin=context.block.plugin.name,
        profile=context.block.profile.name,
        repeat=context.block.repeat,
        store=context.store_address,
        install_id=str(uuid.uuid4()),
        boot_id=target.facts(nodes[0]).boot_id,
        started_at=datetime.now(UTC),
        environment_fingerprint=environment_fingerprint(target),
        inventory_before={
            node.name: {
                kind: tuple(sorted(found)) for kind, found in target.inventory(node).items()
            }
            for node in nodes
        },
    )
    target.save_state(state)
