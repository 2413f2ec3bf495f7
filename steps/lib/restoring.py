"""Undoing the journal: in reverse, after any crash, and never over what somebody else set."""

import logging
from collections.abc import Iterable, Iterator
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
        state = _with_journal(state, *(e for e in state.journal if e not in forgotten))
        target.save_state(state)
    return state, [each.why for each in left if not each.is_gone]


def _restored_once(target: Target, state: BlockState) -> tuple[BlockState, list[_Left]]:
    """One round. Who is killed in it finds values that are back already, and what was kept."""
    kept: list[_Left] = []
    known: dict[str, tuple[Node, str]] = {}
    journal = (*_chained(state.journal),)
    for index, entry in reversed([*enumerate(journal)]):
        if entry.node in {each.entry.node for each in kept if each.is_transient}:
            why = f"{entry.setting}: node {entry.node} did not answer"
            left: _Left | None = _Left(entry, why, is_transient=True)
        else:
            left = _undo_if_reached(target, known, entry)
        if left:
            kept.insert(0, left)
        if left or not index:
            state = _with_journal(state, *journal[:index], *(each.entry for each in kept))
            target.save_state(state)
    return state, kept[::-1]


def _chained(journal: Iterable[JournalEntry]) -> Iterator[JournalEntry]:
    """Have each entry go back to what was before the first one of its setting.

    A stage that was killed and tried again sets what it had set. If each entry went back one step
    only, who is killed between two of them would find the older value and take it for a stranger's.
    What a stranger set between two tries ends the chain: it is found, and left alone.
    """
    known: dict[tuple[str, str, Setting], JournalEntry] = {}
    for entry in journal:
        key = entry.node, entry.boot_id, entry.setting
        last = known.get(key)
        if last and (last.after is None or entry.before in (last.after, last.intended)):
            entry = entry.model_copy(update={"before": last.before})
        known[key] = entry
        yield entry


def _with_journal(state: BlockState, *entries: JournalEntry) -> BlockState:
    return state.model_copy(update={"journal": entries})


def _undo_if_reached(
    target: Target, known: dict[str, tuple[Node, str]], entry: JournalEntry
) -> _Left | None:
    """Undo an entry; what goes wrong on its node must not keep another node from being restored."""
    try:
        if entry.node not in known:
            node = target.node(entry.node)
            if node is None:
                why = "is no more among the target's"
                return _Left(entry, f"{entry.setting}: node {entry.node} {why}")
            known[entry.node] = node, target.facts(node).boot_id
        node, boot_id = known[entry.node]
        # None of it outlives a boot.
        return _undo(target, node, entry) if boot_id == entry.boot_id else None
    except OwnershipError:
        raise  # None of the nodes is ours any more.
    except CnibenchError as error:
        why = f"{entry.setting} on {entry.node} could not be put back: {error}"
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
