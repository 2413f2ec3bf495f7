"""Changing settings of nodes so that every change is proven and can be undone after any crash.

The journal is part of the block's state on the target and is written before each change: read,
record, set, read back. ``restoring.py`` undoes it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.models import Entry, Profile
from steps.lib.restoring import read_one, restore
from steps.lib.setting import Found, Setting
from steps.lib.state import BlockState, JournalEntry
from steps.lib.targets.protocol import Endpoint, Node, Target

RESHAPING = ("smt", "ethtool_channels")
"""Kinds that add or take away processors and queues, which others come down to."""

KEPT_OF_NODE = tuple(
    Setting(kind, place, name)
    for kind, place, name in (
        ("sysctl", "netns", "net.ipv4.tcp_congestion_control"),
        ("sysctl", "node", "net.core.default_qdisc"),
        ("sysctl", "node", "net.core.rmem_max"),
        ("sysctl", "node", "net.core.wmem_max"),
        ("sysctl", "node", "net.core.netdev_max_backlog"),
        ("sysctl", "netns", "net.ipv4.tcp_rmem"),
        ("sysctl", "netns", "net.ipv4.tcp_wmem"),
        ("smt", "node", "devices/system/cpu/smt/control"),
        ("cpu_governor", "node", "devices/system/cpu/cpufreq/policy0/scaling_governor"),
        # Whether frequencies above the nominal one are allowed, by Intel's driver and by others.
        ("sysfs", "node", "devices/system/cpu/intel_pstate/no_turbo"),
        ("sysfs", "node", "devices/system/cpu/cpufreq/boost"),
        ("sysfs", "node", "kernel/mm/transparent_hugepage/enabled"),
    )
)
KEPT_OF_UPLINK = (
    ("qdisc", ""),
    ("ethtool_feature", "rx-checksumming"),
    ("ethtool_feature", "tx-checksum-ip-generic"),
    ("ethtool_feature", "tx-tcp-segmentation"),
    ("ethtool_feature", "generic-segmentation-offload"),
    ("ethtool_feature", "generic-receive-offload"),
    ("ethtool_feature", "large-receive-offload"),
)
"""Settings that are always recorded, tuned or not, since they explain most differences."""


@dataclass(frozen=True)
class ReadBack:
    """Tuned settings as they are now: values by ``<place>/<setting>``, and what is not as set.

    A setting that a node lacks has the value None: a profile without it is another profile, and
    its digest is another one.
    """

    values: Mapping[str, str | None]
    wrong: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 of the values, for the ``profile_digest`` column."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


def kept_settings(target: Target, tuned: Sequence[JournalEntry] = ()) -> dict[str, dict[str, str]]:
    """What is always recorded, and what was tuned, as in force on each node."""
    kept: dict[str, dict[str, str]] = {}
    for node in target.nodes():
        uplink = (Setting(kind, node.uplink, name) for kind, name in KEPT_OF_UPLINK)
        own = (e.setting for e in tuned if e.node == node.name)
        values = target.read_settings(node, (*KEPT_OF_NODE, *uplink, *own))
        kept[node.name] = {str(s): v for s, v in values.items() if v is not None}
    return kept


def unsupported(target: Target, profile: Profile) -> str | None:
    """Why nodes of the target cannot be tuned as the profile says, or None.

    What they refuse counts for optional entries, too: a value that they do not offer, or that could
    not be taken back.
    """
    if not profile.entries:
        return None
    try:
        lacking = {
            wanted: why
            for part in _parts(profile.entries)
            for wanted, why in target.lacking([entry.wanted for entry in part]).items()
        }
    except RefusedError as error:
        return f"profile {profile.name}: {error}"
    needed = [entry.wanted for entry in profile.entries if not entry.optional]
    reasons = [lacking[wanted] for wanted in needed if wanted in lacking]
    return f"profile {profile.name}: {'; '.join(reasons)}" if reasons else None


def apply_profile(
    target: Target, state: BlockState, profile: Profile, *, before_install: bool = False
) -> BlockState:
    """Set the profile's entries of one of its two moments on every node; prove that they took.

    Returns:
        The state with ``journal`` (to undo), ``tuned`` and ``lacking`` (for the record), saved.

    Raises:
        RefusedError: a node lacks a setting, or does not offer a value (nothing was changed), or a
            value did not take (everything was put back).
    """
    entries = [e for e in profile.entries if e.is_before_install == before_install]
    parts = _parts(entries)
    try:
        looks = [_looked_up(target, part) for part in parts]
    except RefusedError as error:
        raise RefusedError(f"profile {profile.name}: {error}; nothing was changed") from error
    try:
        for index, part in enumerate(parts):
            changes, lacking = _looked_up(target, part) if index else looks[index]
            state = _with_lacking(state, lacking)
            for _, same in groupby(changes, lambda change: change[1].asked):
                state = _set(target, state, list(same))
    except RefusedError as error:
        state, problems = restore(target, target.load_state() or state)
        ended = f"not put back: {'; '.join(problems)}" if problems else "all settings were put back"
        raise RefusedError(f"profile {profile.name}: {error}; {ended}") from error
    target.save_state(state)
    return state


def read_back(target: Target, state: BlockState, endpoints: Iterable[Endpoint] = ()) -> ReadBack:
    """Every setting that was tuned as it is now, in nodes and endpoints."""
    intended: dict[str, str] = {}
    values: dict[str, str | None] = {}
    for node in target.nodes():
        entries = {e.setting: e.intended for e in state.tuned if e.node == node.name}
        intended |= {f"{node.name}/{s}": value for s, value in entries.items()}
        if entries:
            read = target.read_settings(node, tuple(entries))
            values |= {f"{node.name}/{s}": value for s, value in read.items()}
    for endpoint in endpoints:
        tuned = {e.setting: e.intended for e in state.tuned}
        for name, value in target.expected_in_endpoint(endpoint, tuned).items():
            intended[f"{endpoint.name}/{name}"] = value
            values[f"{endpoint.name}/{name}"] = target.read_endpoint_setting(endpoint, name)
    wrong = [
        f"{key} is {values[key]!r}, not {value!r}"
        for key, value in intended.items()
        if values[key] != value
    ]
    lacking = {f"{node}/{why}": None for node, whys in state.lacking.items() for why in whys}
    return ReadBack(values | lacking, tuple(wrong))


def never_set(target: Target, state: BlockState, profile: Profile) -> list[str]:
    """Entries of the profile that a node was neither given nor found to lack."""
    known = {(e.node, e.asked) for e in state.tuned}
    lacking = [(node, why) for node, whys in state.lacking.items() for why in whys]
    return [
        f"{node.name}/{entry.wanted} was never set"
        for entry in profile.entries
        for node in target.nodes()
        if (node.name, str(entry.wanted)) not in known
        and not any(n == node.name and why.startswith(f"{entry.wanted}: ") for n, why in lacking)
    ]


def _parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries by what has to be in force before the next are looked up."""
    first = [e for e in entries if e.kind in RESHAPING]
    return [part for part in (first, [e for e in entries if e not in first]) if part]


def _with_lacking(state: BlockState, lacking: Mapping[str, tuple[str, ...]]) -> BlockState:
    known = {n: (*state.lacking.get(n, ()), *found) for n, found in lacking.items()}
    return state.model_copy(update={"lacking": {**state.lacking, **known}})


def _looked_up(
    target: Target, entries: Sequence[Entry]
) -> tuple[list[tuple[Node, JournalEntry]], dict[str, tuple[str, ...]]]:
    """What is to be changed, entry by entry on all nodes, and what optional entries nodes lack."""
    nodes = target.nodes() if entries else ()
    looks = {node: target.look_up(node, [e.wanted for e in entries]) for node in nodes}
    boots = {node: target.facts(node).boot_id for node in nodes}
    changes, absent = [], []
    lacking: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(entries):
        # By setting, then by node: where nodes share a kernel, what allows a setting comes before
        # it on all of them, and goes after it.
        for same in zip_longest(*(looks[node][index].found for node in nodes)):
            changes += [
                (node, _entry(node, boots[node], entry, found))
                for node, found in zip(nodes, same, strict=True)
                if found
            ]
        for node in nodes:
            look = looks[node][index]
            if look.lacking and entry.optional:
                lacking[node.name] = (*lacking.get(node.name, ()), look.lacking)
            elif look.lacking:
                absent.append(f"{node.name}: {look.lacking}")
    if absent:
        raise RefusedError(
            f"{'; '.join(absent)}. A profile without these entries is a different profile: give it "
            "another name, or say `optional: true`"
        )
    return changes, lacking


def _entry(node: Node, boot_id: str, entry: Entry, found: Found) -> JournalEntry:
    """What the journal will say.

    ``before`` is from before the first change: features of a device switch each other off.
    """
    return JournalEntry(
        node=node.name,
        boot_id=boot_id,
        asked=str(entry.wanted),
        **found.setting._asdict(),
        before=found.present,
        intended=found.intended,
    )


def _refuse_if_moved(target: Target, node: Node, entry: JournalEntry) -> None:
    """Refuse to overwrite what somebody changed since it was looked up: it could not be put back.

    Features of a device are left out: entries before this one may have switched them.
    """
    if entry.kind == "ethtool_feature" or entry.before == entry.intended:
        return
    present = read_one(target, node, entry.setting)
    if present not in (entry.before, entry.intended):
        raise RefusedError(
            f"{entry.setting} on {node.name} was {entry.before!r} when it was looked up and is "
            f"{present!r} now: somebody else changes it. Find out who, and stop that first"
        )


def _set(
    target: Target, state: BlockState, changes: Sequence[tuple[Node, JournalEntry]]
) -> BlockState:
    """Make the changes of one entry, all recorded and saved before the first of them is made.

    Recorded as one, since an entry may be a file of each processor, and saving takes its time. What
    is killed in between has no ``after``, and is put back whatever it reads.
    """
    for node, entry in changes:
        _refuse_if_moved(target, node, entry)
    recorded = (*state.journal, *(entry for _, entry in changes))
    target.save_state(state.model_copy(update={"journal": recorded}))
    made: list[JournalEntry] = []
    for node, entry in changes:
        try:
            made.append(_changed(target, node, entry))
        except CnibenchError:
            # What was not come to is not ours to put back, whatever it is by now.
            begun = (*state.journal, *made, entry)
            target.save_state(state.model_copy(update={"journal": begun}))
            raise
    journal, tuned = (*state.journal, *made), (*state.tuned, *made)
    state = state.model_copy(update={"journal": journal, "tuned": tuned})
    target.save_state(state)
    return state


def _changed(target: Target, node: Node, entry: JournalEntry) -> JournalEntry:
    """Make one change, and read it back."""
    if entry.before != entry.intended:
        target.write_setting(node, entry.setting, entry.intended)
    after = read_one(target, node, entry.setting)
    if after != entry.intended:
        raise RefusedError(
            f"{entry.setting} on {node.name} was set to {entry.intended!r} but reads back {after!r}"
        )
    return entry.model_copy(update={"after": after})
