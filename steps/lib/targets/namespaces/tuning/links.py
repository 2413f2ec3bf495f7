"""Settings of a network device that belong to no driver: MTU, queue discipline, RPS, interrupts."""

import json
import re
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.setting import Found, LackingError, Setting, Wanted
from steps.lib.targets.namespaces.tuning import cpus
from steps.lib.targets.namespaces.tuning.access import UNREADABLE, Access, text

_INGRESS = {"ingress", "clsact"}
"""Plugins hang their programs there; they have nothing to do with what is sent when."""
_IRQ = Path("/proc/irq")

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
        return text(root / "class/net" / setting.place / "mtu")


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
    require_queue_discipline(access, wanted.value)
    return [Found(setting, present, wanted.value)]


def require_queue_discipline(access: Access, kind: str) -> None:
    """Try it where nobody sees it, which loads its module if it is one.

    Raises:
        LackingError: the kernel does not have it.
    """
    trial = ("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", kind)
    if why := access.attempt(*trial):
        raise LackingError(f"this kernel has no queue discipline {kind!r}: {why}")


def read_queue_discipline(access: Access, setting: Setting) -> str | None:
    """Kind of the root queue discipline; marked if it is the kernel's own choice.

    Then with the kinds of its queues, which it has from ``net.core.default_qdisc`` since it was
    made: else one with others would pass for it.
    """
    try:
        listed = json.loads(access.output("tc", "-json", "qdisc", "show", "dev", setting.place))
    except LackingError as error:
        return access.unread(setting.place, error)
    root = next((each for each in listed if each.get("root")), None)
    if root is None:
        return None
    if root["handle"] != "0:":
        return str(root["kind"])
    queues = sorted({each["kind"] for each in listed if "parent" in each} - _INGRESS)
    return " ".join((BY_DEFAULT, root["kind"], *queues))


def write_queue_discipline(access: Access, setting: Setting, value: str) -> None:
    """Replace the root, or delete it for what the kernel chooses."""
    place = ("dev", setting.place, "root")
    if not value.startswith(BY_DEFAULT):
        access.do(setting, value, "tc", "qdisc", "replace", *place, value)
        return
    # The kernel's own choice cannot be deleted; it chooses anew when another one is.
    access.do(setting, value, "tc", "qdisc", "replace", *place, "pfifo")
    access.do(setting, value, "tc", "qdisc", "delete", *place)


def find_rps(access: Access, wanted: Wanted) -> list[Found]:
    """Which processors each receive queue hands packets to."""
    device = access.device(wanted.scope)
    with access.sys() as root:
        intended = cpus.shown(cpus.parse(wanted.value, cpus.online(root)))
        queues = sorted((root / "class/net" / device / "queues").glob("rx-*/rps_cpus"))
        masks = {file.parent.name: _mask(file) for file in queues}
    found = [
        Found(Setting(wanted.kind, device, queue), mask, intended)
        for queue, mask in masks.items()
        if mask is not None
    ]
    if not found:
        raise LackingError(f"{device} has no receive queues that could be steered")
    return found


def refuse_to_lose_steering(access: Access, device: str, queues_kept: int) -> None:
    """Refuse to take queues away that have processors: a queue comes back with none."""
    with access.sys() as root:
        files = (root / "class/net" / device / "queues").glob("rx-*/rps_cpus")
        masks = {file.parent.name: _mask(file) for file in files}
    lost = sorted(
        f"{queue} ({mask})"
        for queue, mask in masks.items()
        if int(queue.removeprefix("rx-")) >= queues_kept and mask != cpus.shown([])
    )
    if lost:
        raise RefusedError(
            f"{device} has receive queues that somebody steers to processors by RPS, which would "
            f"go and come back without it: {', '.join(lost)}. Take that away first"
        )


def read_rps(access: Access, setting: Setting) -> str | None:
    """As a list of processors."""
    with access.sys() as root:
        return _mask(_queue(root, setting))


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
    with access.sys() as root:
        allowed = cpus.parse(wanted.value, cpus.online(root))
        present = interrupts(root, device)
    if not present:
        raise LackingError(f"{device} has no interrupts of its own")
    return [
        Found(setting, cpu, str(allowed[turn % len(allowed)]))
        for turn, (setting, cpu) in enumerate(present.items())
    ]


def interrupts(root: Path, device: str) -> dict[Setting, str]:
    """A device's interrupts, with the processors that each may go to."""
    own = root / "class/net" / device / "device"
    # A virtio device's interrupts are those of the PCI device that it is on.
    folders = [own / "msi_irqs", own / "../msi_irqs"]
    numbers = sorted({int(f.name) for folder in folders for f in folder.glob("*")})
    present = {n: text(_affinity(str(n))) for n in numbers}
    return {Setting("irq_affinity", device, str(n)): at for n, at in present.items() if at}


def read_interrupt(access: Access, setting: Setting) -> str | None:
    """Processors that an interrupt may go to."""
    return text(_affinity(setting.name))


def write_interrupt(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    try:
        _affinity(setting.name).write_text(value)
    except OSError as error:
        raise RefusedError(f"{setting} cannot be set to {value!r}: {error.strerror}") from error


def _mask(file: Path) -> str | None:
    mask = text(file)
    return mask if mask is None or mask.startswith(UNREADABLE) else cpus.of_mask(mask)


def _queue(root: Path, setting: Setting) -> Path:
    return root / "class/net" / setting.place / "queues" / setting.name / "rps_cpus"


def _affinity(number: str) -> Path:
    assert re.fullmatch(r"\d+", number), "found among the device's interrupts"
    return _IRQ / number / "smp_affinity_list"
