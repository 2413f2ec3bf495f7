"""Changing settings of nodes so that every change is proven and can be undone after any crash.

The journal is part of the block's state on the target and is written before each change: read,
record, set, read back. Restoring goes in reverse and never overwrites what somebody else set.
"""

import hashlib
import json
from collections.abc import Mapping

from steps.lib.errors import RefusedError
from steps.lib.models import Profile, Sysctl
from steps.lib.state import BlockState, JournalEntry
from steps.lib.targets.protocol import Endpoint, Node, Target

KEPT = (
    "net.ipv4.tcp_congestion_control",
    "net.core.default_qdisc",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.netdev_max_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
"""Settings that are always recorded, tuned or not, since they explain most differences."""


def kept_settings(target: Target, profile: Profile | None = None) -> dict[str, dict[str, str]]:
    """``KEPT``, and the profile's settings, as they are in force on each node."""
    names = (*KEPT, *(e.name for e in profile.entries)) if profile else KEPT
    return {
        node.name: {n: v for n in names if (v := target.read_setting(node, n)) is not None}
        for node in target.nodes()
    }


def apply_profile(target: Target, state: BlockState, profile: Profile) -> BlockState:
    """Set every entry of ``profile`` on every node and prove that it took.

    Returns:
        The state with ``journal`` (to undo) and ``tuned`` (for the record), already saved.

    Raises:
        RefusedError: a node lacks a setting (nothing was changed), or a value did not take
            (everything was put back).
    """
    _refuse_what_is_absent(target, profile)
    for setting in profile.entries:
        for node in target.nodes():
            state = _journalled(target, state, node, setting)
            try:
                state = _set(target, state, node)
            except RefusedError as error:
                restore(target, state)
                raise RefusedError(
                    f"profile {profile.name}: {error}; all settings were put back"
                ) from error
    return state


def restore(target: Target, state: BlockState) -> tuple[BlockState, list[str]]:
    """Undo the journal in reverse; idempotent, and safe after a crash at any point.

    Returns:
        The state with the entries that could not be undone, and a sentence for each of them.
    """
    problems: list[str] = []
    kept: list[JournalEntry] = []
    nodes = {node.name: node for node in target.nodes()}
    for entry in reversed(state.journal):
        problem = _undo(target, nodes[entry.node], entry)
        if problem:
            problems.append(problem)
            kept.insert(0, entry)
        remaining = state.journal[: state.journal.index(entry)] + tuple(kept)
        state = state.model_copy(update={"journal": remaining})
        target.save_state(state)
    return state, problems


def settings_digest(settings: Mapping[str, str | None]) -> str:
    """sha256 of settings as read back, for the ``profile_digest`` column."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def differences(target: Target, profile: Profile, endpoints: tuple[Endpoint, ...]) -> list[str]:
    """Every setting of ``profile`` that is not in force, in nodes and endpoints."""
    wrong: list[str] = []
    for node in target.nodes():
        for entry in profile.entries:
            found = target.read_setting(node, entry.name)
            if found != _blanks(entry.value):
                wrong.append(f"{entry.name} on {node.name} is {found!r}, not {entry.value!r}")
    for endpoint in endpoints:
        for name, value in target.expected_in_endpoint(endpoint, profile).items():
            found = target.read_endpoint_setting(endpoint, name)
            if found != _blanks(value):
                wrong.append(f"{name} in {endpoint.name} is {found!r}, not {value!r}")
    return wrong


def in_force(
    target: Target, profile: Profile, endpoints: tuple[Endpoint, ...]
) -> dict[str, str | None]:
    """Settings of ``profile`` as read back, keyed ``<place>/<name>``."""
    read: dict[str, str | None] = {}
    for node in target.nodes():
        read |= {
            f"{node.name}/{e.name}": target.read_setting(node, e.name) for e in profile.entries
        }
    for endpoint in endpoints:
        for name in target.expected_in_endpoint(endpoint, profile):
            read[f"{endpoint.name}/{name}"] = target.read_endpoint_setting(endpoint, name)
    return read


def _refuse_what_is_absent(target: Target, profile: Profile) -> None:
    absent = [
        f"{entry.name} on {node.name}"
        for entry in profile.entries
        for node in target.nodes()
        if target.read_setting(node, entry.name) is None
    ]
    if absent:
        raise RefusedError(
            f"profile {profile.name}: this kernel does not have {', '.join(absent)}; nothing was "
            "changed. A profile without these entries is a different profile: give it another name"
        )


def _journalled(target: Target, state: BlockState, node: Node, setting: Sysctl) -> BlockState:
    """The state with the change recorded, saved before the change is made."""
    before = target.read_setting(node, setting.name) or ""
    intended = _blanks(setting.value)
    entry = JournalEntry(node=node.name, name=setting.name, before=before, intended=intended)
    state = state.model_copy(update={"journal": (*state.journal, entry)})
    target.save_state(state)
    return state


def _set(target: Target, state: BlockState, node: Node) -> BlockState:
    """Make the change that the last entry of the journal records, and read it back."""
    entry = state.journal[-1]
    target.write_setting(node, entry.name, entry.intended)
    after = target.read_setting(node, entry.name)
    if after != entry.intended:
        raise RefusedError(
            f"{entry.name} on {node.name} was set to {entry.intended!r} but reads back {after!r}"
        )
    entry = entry.model_copy(update={"after": after})
    journal, tuned = (*state.journal[:-1], entry), (*state.tuned, entry)
    state = state.model_copy(update={"journal": journal, "tuned": tuned})
    target.save_state(state)
    return state


def _undo(target: Target, node: Node, entry: JournalEntry) -> str | None:
    present = target.read_setting(node, entry.name)
    if present == entry.before:
        return None
    if present not in (entry.after, entry.intended):
        return (
            f"{entry.name} on {node.name} is {present!r}: somebody changed it after cnibench set "
            f"{entry.intended!r}; it was left alone (before: {entry.before!r})"
        )
    target.write_setting(node, entry.name, entry.before)
    present = target.read_setting(node, entry.name)
    if present != entry.before:
        return f"{entry.name} on {node.name} could not be put back: reads {present!r}"
    return None


def _blanks(value: str) -> str:
    return " ".join(value.split())
