"""What a profile asks for, and the settings of one node that this comes down to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

UNDERLAY_NIC = "underlay_nic"
"""Scope that names a device by its role: the one that carries the node's address."""


class Setting(NamedTuple):
    """One setting of one node: the identity that journal, read-back and results use.

    ``place`` is where it is: a device by its real name, a processor, ``node`` for the whole kernel
    or ``netns`` for the network namespace.
    """

    kind: str
    place: str
    name: str

    def __str__(self) -> str:
        """As people name it: a kernel setting by its dotted name, others with kind and place."""
        if self.kind == "sysctl":
            return self.name
        return " ".join(part for part in self if part)


class Wanted(NamedTuple):
    """An entry of a profile, as far as a node is concerned."""

    kind: str
    scope: str
    name: str
    value: str

    def __str__(self) -> str:
        """Kind and name, as in the profile's file."""
        return self.name if self.kind == "sysctl" else f"{self.kind} {self.name}".strip()


class Found(NamedTuple):
    """A setting as it is, and the value that an entry asks it to have, as it would be read back."""

    setting: Setting
    present: str
    intended: str


class Look(NamedTuple):
    """What an entry comes down to on a node, or why the node lacks it."""

    found: tuple[Found, ...] = ()
    lacking: str | None = None


class LackingError(Exception):
    """The node does not have what an entry is about. Not an error yet: who asked decides."""


def look_of(told: list[object]) -> Look:
    """A ``Look`` again after it travelled as JSON."""
    found, lacking = told
    assert isinstance(found, list) and (lacking is None or isinstance(lacking, str))
    return Look(tuple(Found(Setting(*s), present, to) for s, present, to in found), lacking)


def lacking_of(wanted: Sequence[Wanted], looks: Mapping[str, Sequence[Look]]) -> dict[Wanted, str]:
    """What nodes lack, by entry, each reason with the name of its node."""
    reasons = {
        entry: [f"{node}: {each[i].lacking}" for node, each in looks.items() if each[i].lacking]
        for i, entry in enumerate(wanted)
    }
    return {entry: "; ".join(reason) for entry, reason in reasons.items() if reason}
