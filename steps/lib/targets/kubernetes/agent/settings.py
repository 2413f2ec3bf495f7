"""Kernel settings of the node and of containers; the rules are those of the embedded target."""

from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.namespaces import settings


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
