"""Settings of a network device that belong to no driver: MTU, queue discipline, RPS, interrupts."""

import json
import re
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.setting import Found, LackingError, Setting, Wanted
from steps.lib.targets.namespaces.tuning import cpus
from steps.lib.targets.namespaces.tuning.access import Access

BY_DEFAULT = "default"
"""Begins the name of a queue discipline that the kernel chose: deleting what replaced it brings it
back with all its queues, and nothing else does."""


def find_mtu(access: Access, wanted: Wanted) -> list[Found]:
    """The device's MTU, if the device can have it."""
    device = access.device(wanted.scope)
    (link,) = json.loads(access.output("ip", "-json", "-details", "link", "show", device))
    limit = link.get("max_mtu") or int(wanted.value)
    if int(wanted.value) > limit:
        raise LackingError(f"{device} takes {limit} at most, not {wanted.value}")
    return [Found(Setting(wanted.kind, device, ""), str(link["mtu"]), wanted.value)]


def read_mtu(access: Access, setting: Setting) -> str | None:
    """In bytes."""
    with access.sys() as root:
        return _text(root / "class/net" / setting.place / "mtu")


def write_mtu(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    access.do(setting, value, "ip", "link", "set", "dev", setting.place, "mtu", value)


def find_queue_discipline(access: Access, wanted: Wanted) -> list[Found]:
    """The root queue discipline, if the kernel has that kind and the present one can come back."""
    device = access.device(wanted.scope)
    setting = Setting(wanted.kind, device, "")
    present = read_queue_discipline(access, setting)
    if present is None:
        raise LackingError(f"{device} does not exist")
    if present != wanted.value and not present.startswith(BY_DEFAULT):
        raise RefusedError(
            f"{device} has the queue discipline {present}, which somebody set: its parameters "
            "could not be put back. Take it away first"
        )
    access.require_queue_discipline(wanted.value)
    return [Found(setting, present, wanted.value)]


def read_queue_discipline(access: Access, setting: Setting) -> str | None:
    """Kind of the root queue discipline; marked if it is the kernel's own choice."""
    try:
        listed = json.loads(access.output("tc", "-json", "qdisc", "show", "dev", setting.place))
    except LackingError:
        return None
    root = next((each for each in listed if each.get("root")), None)
    if root is None:
        return None
    return str(root["kind"]) if root["handle"] != "0:" else f"{BY_DEFAULT} {root['kind']}"


def write_queue_discipline(access: Access, setting: Setting, value: str) -> None:
    """Replace the root, or delete it for what the kernel chooses."""
    place = ("dev", setting.place, "root")
    if value.startswith(BY_DEFAULT):
        access.do(setting, value, "tc", "qdisc", "delete", *place)
    else:
        access.do(setting, value, "tc", "qdisc", "replace", *place, value)


def find_rps(access: Access, wanted: Wanted) -> list[Found]:
    """Which processors each receive queue hands packets to."""
    device = access.device(wanted.scope)
    intended = cpus.shown(cpus.parse(wanted.value))
    with access.sys() as root:
        queues = sorted((root / "class/net" / device / "queues").glob("rx-*/rps_cpus"))
        texts = {file.parent.name: _text(file) for file in queues}
    found = [
        Found(Setting(wanted.kind, device, queue), cpus.of_mask(text), intended)
        for queue, text in texts.items()
        if text is not None
    ]
    if not found:
        raise LackingError(f"{device} has no receive queues that could be steered")
    return found


def read_rps(access: Access, setting: Setting) -> str | None:
    """As a list of processors."""
    with access.sys() as root:
        text = _text(_queue(root, setting))
    return None if text is None else cpus.of_mask(text)


def write_rps(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    with access.sys() as root:
        try:
            _queue(root, setting).write_text(cpus.to_mask(value))
        except OSError as error:
            raise RefusedError(f"{setting} cannot be set to {value!r}: {error.strerror}") from error


def find_interrupts(access: Access, wanted: Wanted) -> list[Found]:
    """Each interrupt of the device goes to one processor of the list, in turn."""
    device = access.device(wanted.scope)
    allowed = cpus.parse(wanted.value)
    with access.sys() as root:
        own = root / "class/net" / device / "device"
        # A virtio device's interrupts are those of the PCI device that it is on.
        folders = [own / "msi_irqs", own / "../msi_irqs"]
        numbers = sorted({int(f.name) for folder in folders for f in folder.glob("*")})
    present = {n: _text(_affinity(str(n))) for n in numbers}
    if not any(present.values()):
        raise LackingError(f"{device} has no interrupts of its own")
    return [
        Found(Setting(wanted.kind, device, str(n)), text, str(allowed[turn % len(allowed)]))
        for turn, (n, text) in enumerate(present.items())
        if text is not None
    ]


def read_interrupt(access: Access, setting: Setting) -> str | None:
    """Processors that an interrupt may go to."""
    return _text(_affinity(setting.name))


def write_interrupt(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    try:
        _affinity(setting.name).write_text(value)
    except OSError as error:
        raise RefusedError(f"{setting} cannot be set to {value!r}: {error.strerror}") from error


def _queue(root: Path, setting: Setting) -> Path:
    return root / "class/net" / setting.place / "queues" / setting.name / "rps_cpus"


def _affinity(number: str) -> Path:
    assert re.fullmatch(r"\d+", number), "found among the device's interrupts"
    return Path("/proc/irq", number, "smp_affinity_list")


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
