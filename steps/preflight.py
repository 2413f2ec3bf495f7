"""Stage 1: prove that the block can run, undo what a crash left, and claim the target."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

from hera.workflows import Output, Parameter

from steps.lib.blocks import write_refused
from steps.lib.context import Context
from steps.lib.environment import environment_fingerprint
from steps.lib.errors import RefusedError
from steps.lib.manifest import register, require
from steps.lib.settle import settle
from steps.lib.stage import BlockInput, stage
from steps.lib.state import BlockState


class PreflightInput(BlockInput):
    """See ``BlockInput``."""


class PreflightOutput(Output):
    """What else later stages need is on the target."""

    tunes: Annotated[
        bool, Parameter(name="tunes", description="Whether the profile has anything to set")
    ]


@stage(deadline_s=1800, retries=2)
def preflight(preflight_input: PreflightInput) -> PreflightOutput:
    """Bring the target into a known state.

    Reads: rights, programs and kernel of the target; the state a crashed block may have left.
    Writes: the campaign's manifest and planned cells (once per campaign); the block's state, or
    the row of a block that cannot begin.
    Fails when: something is missing, the store holds another campaign of this name, or settings
    that a crashed block changed cannot be put back.
    """
    context = preflight_input.open()
    require(context.target)
    register(context.job, context.target, context.store)
    started_at = datetime.now(UTC)
    try:
        settle(context.target)
        context.target.prepare()
    except RefusedError as error:
        write_refused(context.store, context.block, started_at, f"preflight: {error}")
        raise
    _claim(context)
    return PreflightOutput(tunes=bool(context.block.profile.entries))


def _claim(context: Context) -> None:
    target = context.target
    state = BlockState(
        campaign=context.campaign,
        block=context.block_id,
        plugin=context.block.plugin.name,
        profile=context.block.profile.name,
        repeat=context.block.repeat,
        store=context.store_address,
        install_id=str(uuid.uuid4()),
        boot_id=target.facts(target.nodes()[0]).boot_id,
        started_at=datetime.now(UTC),
        environment_fingerprint=environment_fingerprint(target),
        inventory_before={
            node.name: {
                kind: tuple(sorted(found)) for kind, found in target.inventory(node).items()
            }
            for node in target.all_nodes()
        },
    )
    target.save_state(state)
