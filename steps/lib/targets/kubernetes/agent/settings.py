"""Settings of the node and of containers; the rules are those of the embedded target."""

from typing import Any

from steps.lib.setting import Setting, Wanted
from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.namespaces import settings
from steps.lib.targets.namespaces.tuning import kinds
from steps.lib.targets.namespaces.tuning.access import Access


def look_up(uplink: str, wanted: list[list[str]]) -> list[Any]:
    """What entries of a profile come down to on the node."""
    return list(kinds.look_up(_node(uplink), [Wanted(*entry) for entry in wanted]))


def read_node_settings(uplink: str, settings: list[list[str]]) -> list[str | None]:
    """Values in force on the node, of any kind, in order."""
    return kinds.read(_node(uplink), [Setting(*setting) for setting in settings])


def write_node_setting(uplink: str, setting: list[str], value: str) -> None:
    """Set one of any kind on the node."""
    kinds.write(_node(uplink), Setting(*setting), value)


def read_setting(name: str, container: str | None = None) -> str | None:
    """Value in force, blanks normalised; None where there is no such name."""
    if container is None:
        return settings.read_on_node(places.NODE_NETWORK, name)
    return settings.read(places.network(container), name)


def read_settings(names: list[str], container: str | None = None) -> dict[str, str | None]:
    """Several at once."""
    return {name: read_setting(name, container) for name in names}


def write_setting(name: str, value: str) -> None:
    """Set it on the node; RefusedError with the kernel's reason if it does not take the value."""
    settings.write_on_node(places.NODE_NETWORK, name, value)


def _node(uplink: str) -> Access:
    return Access(places.NODE_NETWORK, uplink)
