"""The kinds of setting there are: how each is found on a node, read and written."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from steps.lib.errors import RefusedError
from steps.lib.setting import Found, LackingError, Look, Setting, Wanted
from steps.lib.targets.namespaces.tuning import ethtool, links, machine, smt, sysctls
from steps.lib.targets.namespaces.tuning.access import Access


class Kind(NamedTuple):
    """One kind.

    Attributes:
        find: What an entry comes down to on a node; LackingError with what the node says that does
            not have it, RefusedError for a value that it does not offer.
        read: Value in force; None where it is no more, ``unreadable: ...`` where it is there.
        write: Set it; RefusedError with the reason if it is not taken.
    """

    find: Callable[[Access, Wanted], list[Found]]
    read: Callable[[Access, Setting], str | None]
    write: Callable[[Access, Setting, str], None]


_NUMBER = Kind(ethtool.find_number, ethtool.read_number, ethtool.write_number)
_FILES = Kind(machine.find_files, machine.read_file, machine.write_file)

KINDS: dict[str, Kind] = {
    "sysctl": Kind(sysctls.find, sysctls.read, sysctls.write),
    "congestion_control": Kind(sysctls.find_congestion_control, sysctls.read, sysctls.write),
    "mtu": Kind(links.find_mtu, links.read_mtu, links.write_mtu),
    "qdisc": Kind(
        links.find_queue_discipline, links.read_queue_discipline, links.write_queue_discipline
    ),
    "rps": Kind(links.find_rps, links.read_rps, links.write_rps),
    "irq_affinity": Kind(links.find_interrupts, links.read_interrupt, links.write_interrupt),
    "ethtool_feature": Kind(ethtool.find_features, ethtool.read_feature, ethtool.write_feature),
    "ethtool_ring": _NUMBER,
    "ethtool_coalesce": _NUMBER,
    "ethtool_channels": _NUMBER,
    **dict.fromkeys(machine.FILES, _FILES),
    "smt": Kind(smt.find, machine.read_file, machine.write_file),
    "service_stopped": Kind(machine.find_service, machine.read_service, machine.write_service),
    "kernel_cmdline": Kind(
        machine.find_command_line, machine.read_command_line, machine.write_command_line
    ),
}


def look_up(access: Access, entries: Iterable[Wanted]) -> list[Look]:
    """What each entry comes down to on a node; changes nothing.

    Raises:
        RefusedError: a value that the node does not offer, or two entries about one setting.
    """
    looks: list[Look] = []
    owners: dict[Setting, Wanted] = {}
    for entry in entries:
        look = _look(access, entry)
        for found in look.found:
            other = owners.setdefault(found.setting, entry)
            if other != entry:
                raise RefusedError(f"{entry} and {other} both set {found.setting}; keep one")
        looks.append(look)
    return looks


def read(access: Access, settings: Sequence[Setting]) -> list[str | None]:
    """The value of each in force."""
    return [KINDS[setting.kind].read(access, setting) for setting in settings]


def write(access: Access, setting: Setting, value: str) -> None:
    """Set one.

    Raises:
        RefusedError: with the node's reason if it does not take the value.
    """
    KINDS[setting.kind].write(access, setting, value)


def _look(access: Access, entry: Wanted) -> Look:
    try:
        return Look(tuple(KINDS[entry.kind].find(access, entry)))
    except LackingError as error:
        return Look(lacking=f"{entry}: {error}")
