"""Undoing the journal: in reverse, after any crash, and never over what somebody else set."""

import logging
from typing import NamedTuple

from steps.lib.errors import CnibenchError, OwnershipError, TransientError
from steps.lib.setting import Setting
from steps.lib.state import BlockState, JournalEntry
from steps.lib.targets.protocol import Node, Target

LOG = logging.getLogger("cnibench")


def restore(target: Target, state: BlockState) -> tuple[BlockState, list[str]]:
    """Undo the journal in reverse; idempotent, and safe after a crash at any point.

    What did not take is tried again as long as anything else does: a feature of a device may need
    another one that was changed before it. A node that does not answer keeps no other one tuned,
    and what a node has no more, with its device or disk, is forgotten.

    Returns:
        The state with the entries that could not be undone, and a sentence for each of them.

    Raises:
        TransientError: a node did not answer; what the others had is undone, and the journal saved.
    """
    while True:
        entries = len(state.journal)
        state, left = _restored_once(target, state)
        if not left or len(state.journal) == entries:
            break
    if any(each.is_transient for each in left):
        problems = "; ".join(each.why for each in left)
        raise TransientError(f"settings could not all be put back: {problems}")
    return _without_gone(target, state, left)


def read_one(target: Target, node: Node, setting: Setting) -> str | None:
    """The value of one setting in force; None where the node has it no more."""
    return target.read_settings(node, (setting,))[setting]


class _Left(NamedTuple):
    """An entry of the journal that is not undone yet, and why."""

    entry: JournalEntry
    why: str
    is_transient: bool = False
    is_gone: bool = False


def _without_gone(
    target: Target, state: BlockState, left: list[_Left]
) -> tuple[BlockState, list[str]]:
    """Forget what is gone, now that nothing that is put back could bring it again."""
    gone = [each for each in left if each.is_gone]
    for each in gone:
        LOG.warning("block=%s forgotten: %s", state.block, each.why)
    if gone:
        forgotten = [each.entry for each in gone]
        journal = tuple(e for e in state.journal if e not in forgotten)
        state = state.model_copy(update={"journal": journal})
        target.save_state(state)
    return state, [each.why for each in left if not each.is_gone]


def _restored_once(target: Target, state: BlockState) -> tuple[BlockState, list[_Left]]:
    kept: list[_Left] = []
    nodes = {node.name: node for node in target.nodes()} if state.journal else {}
    boots: dict[str, str] = {}
    for index, entry in reversed([*enumerate(state.journal)]):
        silent = {each.entry.node for each in kept if each.is_transient}
        node = None if entry.node in silent else nodes.get(entry.node)
        if node is not None:
            left = _undo_if_reached(target, node, boots, entry)
        else:
            left = _unreached(entry, is_transient=entry.node in silent)
        if left:
            kept.insert(0, left)
        journal = (*state.journal[:index], *(each.entry for each in kept))
        state = state.model_copy(update={"journal": journal})
        # What is undone already is found so again after a kill; one write for each CPU would be
        # slow. What is half on its way back is told at once: else it would pass for another's.
        if left or not index or state.journal[index - 1].asked != entry.asked:
            target.save_state(state)
    return state, kept[::-1]


def _unreached(entry: JournalEntry, *, is_transient: bool) -> _Left:
    why = "did not answer" if is_transient else "is no more among the target's"
    return _Left(entry, f"{entry.setting}: node {entry.node} {why}", is_transient)


def _undo_if_reached(
    target: Target, node: Node, boots: dict[str, str], entry: JournalEntry
) -> _Left | None:
    """Undo an entry; what goes wrong on its node must not keep another node from being restored."""
    try:
        if node.name not in boots:
            boots[node.name] = target.facts(node).boot_id
        # None of it outlives a boot.
        return _undo(target, node, entry) if boots[node.name] == entry.boot_id else None
    except OwnershipError:
        raise  # None of the nodes is ours any more.
    except CnibenchError as error:
        why = f"{entry.setting} on {node.name} could not be put back: {error}"
        return _Left(entry, why, isinstance(error, TransientError))


def _undo(target: Target, node: Node, entry: JournalEntry) -> _Left | None:
    what = f"{entry.setting} on {node.name}"
    present = read_one(target, node, entry.setting)
    if present == entry.before:
        return None
    if present is None:
        return _Left(entry, f"{what} is no more there; it was {entry.before!r}", is_gone=True)
    # Without `after` it was killed before reading back: a driver may have rounded what it wrote.
    if entry.after is not None and present not in (entry.after, entry.intended):
        why = (
            f"{what} is {present!r}: somebody changed it after cnibench set "
            f"{entry.intended!r}; it was left alone (before: {entry.before!r})"
        )
        return _Left(entry, why)
    target.write_setting(node, entry.setting, entry.before)
    present = read_one(target, node, entry.setting)
    if present == entry.before:
        return None
    # What half of the way back is, is ours as well: else it would pass for somebody else's.
    entry = entry.model_copy(update={"after": present})
    return _Left(entry, f"{what} could not be put back: reads {present!r}, was {entry.before!r}")
