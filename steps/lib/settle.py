"""Settling what a killed run left on a target: settings put back, its block on record."""

import logging

from steps.lib.blocks import write_block, write_nodes
from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.restoring import restore
from steps.lib.state import BlockState
from steps.lib.store import open_store
from steps.lib.targets.protocol import Target

LOG = logging.getLogger("cnibench")

INTERRUPTED = "interrupted before its end"


def settle(target: Target) -> None:
    """Undo and record the block that still holds the target, if there is one. Idempotent.

    Settings come first, since preparing needs every node, and a silent one must keep no other one
    tuned. They come again after it: of a target that was half torn down only then all are reached.

    Raises:
        RefusedError: a setting cannot be put back; the journal is kept.
        TransientError: a node does not answer; the others are as they were before the block.
    """
    stale = target.load_state()
    if stale is None:
        return
    stale, _ = restore(target, stale)
    target.prepare()
    stale, problems = restore(target, stale)
    if problems:
        raise RefusedError(
            f"block {stale.block} of campaign {stale.campaign} was interrupted and its settings "
            "cannot all be put back:\n  " + "\n  ".join(problems)
        )
    _record(target, stale)
    target.save_state(None)


def settle_others(target: Target) -> None:
    """Settle every other target of the machine; only for who holds the machine's lock.

    Settings of the whole kernel that a killed run left in force would else be taken for the
    machine's own by the next campaign on another target.
    """
    for other in target.siblings():
        settle(other)
        other.discard()


def release(target: Target) -> None:
    """Settle the target and take it down."""
    settle(target)
    target.discard()


def failures_of(state: BlockState) -> str:
    """What failed in a block, by stage; once what failed in the same way at each try."""
    return "; ".join(dict.fromkeys(f"{f.stage}: {f.message}" for f in state.failures))


def _record(target: Target, stale: BlockState) -> None:
    """Write the rows of an interrupted block; a target that is usable is worth more than those."""
    reason = "; ".join(filter(None, (INTERRUPTED, failures_of(stale))))
    try:
        store = open_store(stale.store)
        write_block(store, stale, "failed", reason, None)
        write_nodes(store, stale, target)
    except CnibenchError as error:
        LOG.warning("block=%s its interruption could not be recorded: %s", stale.block, error)
