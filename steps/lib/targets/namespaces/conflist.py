"""The CNI network configuration of a node: the plugin's data with the node's values filled in."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from steps.lib.errors import InputError
from steps.lib.models import CniChain

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def render(name: str, chain: CniChain, values: Mapping[str, str | int]) -> dict[str, JsonValue]:
    """Make the configuration list that a container runtime would find in ``/etc/cni/net.d``.

    Raises:
        InputError: a placeholder that does not exist, with the field that holds it.
    """
    plugins: list[JsonValue] = [
        _filled(plugin, values, f"plugin {name}: install.plugins.{i}")
        for i, plugin in enumerate(chain.plugins)
    ]
    return {"cniVersion": chain.cni_version, "name": name, "plugins": plugins}


def _filled(value: JsonValue, values: Mapping[str, str | int], where: str) -> JsonValue:
    """Fill in one value; a string that is nothing but a placeholder takes the value's type."""
    if isinstance(value, dict):
        return {key: _filled(item, values, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values, f"{where}.{i}") for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    for placeholder in _PLACEHOLDER.findall(value):
        if placeholder not in values:
            known = ", ".join(f"{{{name}}}" for name in sorted(values))
            raise InputError(f"{where}: {{{placeholder}}} is no placeholder; there are {known}")
    whole = _PLACEHOLDER.fullmatch(value)
    if whole:
        return values[whole[1]]
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), value)
