"""Settings of a network device's driver, by ``ethtool``: features, rings, coalescing, channels."""

import json
import re

from steps.lib.setting import Found, LackingError, Setting, Wanted
from steps.lib.targets.namespaces.tuning import links
from steps.lib.targets.namespaces.tuning.access import Access

GROUPS = {
    "rx": r"rx-checksumming",
    "tx": r"tx-checksum-(ipv4|ipv6|ip-generic|sctp)",
    "tso": r"tx-tcp(6|-\w+)?-segmentation",
    "gso": r"generic-segmentation-offload",
    "gro": r"generic-receive-offload",
    "lro": r"large-receive-offload",
}
"""Names that people use, as patterns of the names that are listed. ``ethtool -K tso off`` turns off
several features; here each is a setting, so that exactly those are turned on again that were on."""

_TO_SET = {
    "rx-checksumming": "rx",
    "generic-segmentation-offload": "gso",
    "generic-receive-offload": "gro",
    "large-receive-offload": "lro",
    "scatter-gather": "sg",
}
"""What a feature is called when it is set, where that is not what it is called when listed."""

_OPTIONS = {
    "ethtool_ring": ("--show-ring", "--set-ring"),
    "ethtool_coalesce": ("--show-coalesce", "--coalesce"),
    "ethtool_channels": ("--show-channels", "--set-channels"),
}
_RECEIVING = {"rx", "combined"}
"""Channels that have a receive queue each."""

_HEADINGS = ("maximums:", "Current hardware settings:")


def find_features(access: Access, wanted: Wanted) -> list[Found]:
    """The features of a name; one that cannot be changed must have the value already."""
    device = access.device(wanted.scope)
    pattern = GROUPS.get(wanted.name, re.escape(wanted.name))
    listed = _features(access, device)
    names = [name for name in listed if re.fullmatch(pattern, name)]
    if not names:
        raise LackingError(f"{device} has no such feature")
    free = [name for name in names if not listed[name]["fixed"]]
    stuck = [n for n in names if n not in free and _on_off(listed[n]) != wanted.value]
    # Of a group, a device needs only some: one way to compute checksums, say.
    if stuck and (wanted.value == "off" or not free):
        raise LackingError(f"the driver of {device} does not let {', '.join(stuck)} be changed")
    return [
        Found(Setting(wanted.kind, device, name), _on_off(listed[name]), wanted.value)
        for name in free or names
    ]


def read_feature(access: Access, setting: Setting) -> str | None:
    """``on`` or ``off``: what is in force, whatever was asked for."""
    try:
        feature = _features(access, setting.place).get(setting.name)
    except LackingError as error:
        return access.unread(setting.place, error)
    return _on_off(feature) if feature else None


def write_feature(access: Access, setting: Setting, value: str) -> None:
    """Turn it on or off."""
    name = _TO_SET.get(setting.name, setting.name)
    access.do(setting, value, "ethtool", "--features", setting.place, name, value)


def find_number(access: Access, wanted: Wanted) -> list[Found]:
    """One number of rings, coalescing or channels.

    Raises:
        RefusedError: queues that somebody steers to processors would go and come back unsteered.
    """
    device = access.device(wanted.scope)
    present, most = _numbers(access, wanted.kind, device)
    if wanted.name not in present:
        raise LackingError(f"the driver of {device} has no such setting")
    limit = most.get(wanted.name, "")
    if limit.isdigit() and wanted.value.isdigit() and int(wanted.value) > int(limit):
        raise LackingError(f"{device} takes {limit} at most, not {wanted.value}")
    if wanted.kind == "ethtool_channels" and wanted.name in _RECEIVING:
        others = (present.get(name, "0") for name in _RECEIVING - {wanted.name})
        links.refuse_to_lose_steering(access, device, int(wanted.value) + sum(map(int, others)))
    setting = Setting(wanted.kind, device, wanted.name)
    return [Found(setting, present[wanted.name], wanted.value)]


def read_number(access: Access, setting: Setting) -> str | None:
    """The number, or ``on`` and ``off`` where it is adaptive."""
    try:
        return _numbers(access, setting.kind, setting.place)[0].get(setting.name)
    except LackingError as error:
        return access.unread(setting.place, error)


def write_number(access: Access, setting: Setting, value: str) -> None:
    """Set it; the driver may round it, which reading back shows."""
    option = _OPTIONS[setting.kind][1]
    access.do(setting, value, "ethtool", option, setting.place, setting.name, value)


def parse(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """What is in force and, where it is said, the most there can be, by the names that are set.

    Text, since ``ethtool`` of Debian 12 has no JSON of it. What is ``n/a`` is left out.
    """
    sections: list[dict[str, str]] = [{}]
    for line in text.splitlines()[1:]:
        if line.endswith(_HEADINGS):
            sections.append({})
        sections[-1] |= {name: value for name, value in _pairs(line) if value not in ("", "n/a")}
    return sections[-1], sections[-2] if len(sections) > 2 else {}


def _pairs(line: str) -> list[tuple[str, str]]:
    """Names and values of a line: ``RX Mini: n/a``, or ``Adaptive RX: off  TX: on``."""
    adaptive = re.match(r"Adaptive RX: (\S+)\s+TX: (\S+)", line)
    if adaptive:
        return [("adaptive-rx", adaptive[1]), ("adaptive-tx", adaptive[2])]
    name, _, value = line.partition(":")
    return [(name.strip().lower().replace(" ", "-"), value.strip())]


def _numbers(access: Access, kind: str, device: str) -> tuple[dict[str, str], dict[str, str]]:
    try:
        return parse(access.output("ethtool", _OPTIONS[kind][0], device))
    except LackingError as error:
        raise LackingError(f"the driver of {device} has none of it: {error}") from error


def _features(access: Access, device: str) -> dict[str, dict[str, bool]]:
    """Features by name, without the headings of groups, which ``requested`` tells apart."""
    if device not in access.features:
        (listed,) = json.loads(access.output("ethtool", "--json", "--show-features", device))
        access.features[device] = {
            name: feature
            for name, feature in listed.items()
            if isinstance(feature, dict) and feature["requested"] is not None
        }
    return access.features[device]


def _on_off(feature: dict[str, bool]) -> str:
    return "on" if feature["active"] else "off"
