"""Simultaneous multithreading, with what goes with processors that are switched off."""

from pathlib import Path

from steps.lib.setting import Found, Wanted
from steps.lib.targets.namespaces.tuning import cpus, links, machine
from steps.lib.targets.namespaces.tuning.access import Access


def find(access: Access, wanted: Wanted) -> list[Found]:
    """The switch, and before it the interrupts of the device that must make room.

    One that only processors handle which go offline is sent anywhere by the kernel, and stays there
    when they are back.
    """
    (switch,) = machine.find_files(access, wanted)
    if (switch.present, wanted.value) != ("on", "off"):
        return [switch]
    with access.sys() as root:
        leaving = _siblings(root)
        staying = cpus.shown(cpus.online(root) - leaving)
        present = links.interrupts(root, access.uplink)
    moved = [Found(s, at, staying) for s, at in present.items() if cpus.named(at) <= leaving]
    return [*moved, switch]


def _siblings(root: Path) -> set[int]:
    """All threads but the first of each core."""
    lists = (root / "devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    cores = [cpus.named(file.read_text().strip()) for file in lists]
    return {cpu for core in cores for cpu in core - {min(core)}}
