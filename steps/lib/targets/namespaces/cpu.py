"""CPU of the machine, of our tools and of everybody else, in one reading of some milliseconds."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from steps.lib.targets import proc
from steps.lib.targets.cycles import Cycles
from steps.lib.targets.namespaces.cgroups import Groups
from steps.lib.targets.observations import CpuTimes, Instant

MACHINE = "this machine"
"""All nodes together: they have its CPUs in common."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def read(groups: Groups, cycles: Cycles) -> CpuTimes:
    """Read everything; what the window is divided by comes first."""
    at_s, clock_s = time.monotonic(), time.time()
    total_cycles = cycles.read()
    with Path("/proc/stat").open() as file:
        modes = proc.modes(file.readline())
    tools = groups.processes()
    return CpuTimes(
        instants={MACHINE: Instant(at_s, "this machine's", os.cpu_count() or 1, clock_s=clock_s)},
        modes={MACHINE: modes},
        foreign={"processes": foreign_s(tools)},
        groups=groups.usage_s(),
        cycles={} if total_cycles is None else {MACHINE: total_cycles},
        throttled=proc.throttled(groups.limiting(tools)),
    )


def foreign_s(tools: set[int]) -> float:
    """CPU seconds of all processes that are not cnibench's, children they waited for included.

    Ours are this process, its descendants, and whatever is in our groups. Kernel threads are left
    out too: they do our own packets' work. What a process used is not lost when it ends: it moves
    to the parent that waits for it. One that nobody waits for takes its share with it, so that a
    difference of two readings can come out too small, and even below zero.
    """
    processes = _processes()
    ours = _descendants(os.getpid(), {pid: process.parent for pid, process in processes.items()})
    foreign = (
        process.ticks
        for pid, process in processes.items()
        if not (process.is_kernel_thread or pid in ours or pid in tools)
    )
    return sum(foreign) / _TICKS_PER_S


def used_s(roots: Collection[int]) -> dict[int, float]:
    """CPU seconds of processes, each with its descendants, those it waited for included.

    To the 10 ms of a tick in each mode, of user and of system. One that is gone is left out.
    """
    processes = _processes()
    parents = {pid: process.parent for pid, process in processes.items()}
    trees = {root: _descendants(root, parents) for root in roots if root in processes}
    return {
        root: sum(processes[pid].ticks for pid in tree) / _TICKS_PER_S
        for root, tree in trees.items()
    }


class _Process(NamedTuple):
    parent: int
    is_kernel_thread: bool
    ticks: int


def _processes() -> dict[int, _Process]:
    """Every process of the machine.

    Read by hand, since readings lie at the edges of measured windows: 2 ms for a hundred processes,
    where ``Path.read_bytes`` takes 4 and psutil 10.
    """
    found = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    file = os.open(f"/proc/{entry.name}/stat", os.O_RDONLY)
                except OSError:
                    continue  # It ended.
                try:
                    found[int(entry.name)] = _parsed(os.read(file, 4096))
                except ProcessLookupError:
                    continue  # It ended just now.
                finally:
                    os.close(file)
    return found


def _parsed(text: bytes) -> _Process:
    """Fields behind the name, which may hold blanks and brackets: numbers of proc(5), less 3."""
    fields = text[text.rindex(b")") + 2 :].split(None, 15)
    return _Process(
        parent=int(fields[1]),
        is_kernel_thread=bool(int(fields[6]) & proc.PF_KTHREAD),
        ticks=sum(map(int, fields[11:15])),  # user, system, and both of waited-for children
    )


def _descendants(root: int, parent_of: dict[int, int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parent_of.items():
        children.setdefault(parent, []).append(pid)
    found, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found
