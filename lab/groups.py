"""Control groups of a lab: one for each piece, in every hierarchy of the machine.

A process of the lab is in its piece's group from before its first instruction, so the groups tell
what runs, also after whoever started it was killed, and ``down`` ends all of it by them.
"""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steps.lib.errors import CnibenchError, InputError

KILL_TIMEOUT_S = 20.0
POLL_S = 0.02
COMMAND = "command"
"""Group of a ``lab up`` at work and of the helpers that it runs, so that ``down`` ends them too."""

CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""What kubelet refuses to start without."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy; ``options`` is what mounts it again (``cpu,cpuacct``)."""

    place: Path
    options: str

    @property
    def is_unified(self) -> bool:
        """Whether it is that of version 2."""
        return not self.options


def hierarchies() -> list[Hierarchy]:
    """All hierarchies of the machine, the unified one first.

    Raises:
        InputError: the machine has no such set of hierarchies that a kubelet works with.
    """
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    controllers = [line.split(":")[1] for line in lines]
    found: dict[str, Hierarchy] = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found.setdefault("", Hierarchy(Path(place), ""))
        elif kind == "cgroup":
            own = next(c for c in controllers if c and set(c.split(",")) <= set(options.split(",")))
            found.setdefault(own, Hierarchy(Path(place), own))
    _require(found)
    return sorted(found.values(), key=lambda each: each.options)


def _require(found: dict[str, Hierarchy]) -> None:
    if "" not in found:
        raise InputError(
            "no cgroup2 file system is mounted: mkdir -p /sys/fs/cgroup/unified && "
            "mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    present = {name for options in found for name in options.split(",")}
    absent = [name for name in CONTROLLERS if name not in present]
    if absent:
        raise InputError(
            f"no version 1 control group hierarchy has {', '.join(absent)}: the lab runs on "
            "machines with the hybrid layout (kernel option systemd.unified_cgroup_hierarchy=0 "
            "with systemd, or mount each controller below /sys/fs/cgroup)"
        )


@dataclass(frozen=True)
class Groups:
    """The groups of one lab, all below one group of its name."""

    name: str

    @cached_property
    def hierarchies(self) -> list[Hierarchy]:
        """Those of the machine."""
        return hierarchies()

    @property
    def root(self) -> Path:
        """The lab's group in the unified hierarchy, which may not exist yet."""
        return self.hierarchies[0].place / self.name

    def create(self, piece: str) -> list[Path]:
        """Make a piece's groups; files into which a process writes ``0`` to join them."""
        entries = []
        for hierarchy in self.hierarchies:
            directory = hierarchy.place / self.name / piece
            directory.mkdir(parents=True, exist_ok=True)
            if "cpuset" in hierarchy.options.split(","):
                _fill(directory.parent)
                _fill(directory)
            entries.append(directory / "cgroup.procs")
        return entries

    def enter(self) -> None:
        """Put this process, and what it starts from now on, where ``down`` will find it."""
        directory = self.root / COMMAND
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.procs").write_text("0")

    def processes(self, piece: str = ".") -> set[int]:
        """Processes of one piece, or of the whole lab."""
        found: set[int] = set()
        for directory in _tree(self.root / piece):
            try:
                found.update(int(pid) for pid in (directory / "cgroup.procs").read_text().split())
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
        return found

    def kill(self, piece: str = ".") -> None:
        """End all processes of one piece, or of the whole lab, at once; absent is fine.

        Raises:
            CnibenchError: some do not die.
        """
        switch = self.root / piece / "cgroup.kill"
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while found := self.processes(piece) - {os.getpid()}:
            if time.monotonic() > deadline:
                raise CnibenchError(f"processes {sorted(found)} do not die, even by SIGKILL")
            switch.write_text("1")
            time.sleep(POLL_S)

    def remove(self, piece: str = ".") -> None:
        """Remove the groups of one piece, or of the whole lab; its processes must have ended.

        A group counts as busy until the kernel has buried its last one, a moment after the kill.

        Raises:
            CnibenchError: one stays busy.
        """
        deadline = time.monotonic() + KILL_TIMEOUT_S
        for hierarchy in self.hierarchies:
            for directory in reversed(list(_tree(hierarchy.place / self.name / piece))):
                _remove(directory, deadline)


def _fill(directory: Path) -> None:
    """A new group of cpuset has no processor and so takes no process."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if not (directory / file).read_text().strip():
            (directory / file).write_text((directory.parent / file).read_text())


def _tree(top: Path) -> Iterator[Path]:
    """A group and all below it, parents first; they may vanish while we look."""
    if not top.is_dir():
        return
    yield top
    try:
        children = sorted(child for child in top.iterdir() if child.is_dir())
    except FileNotFoundError:
        return
    for child in children:
        yield from _tree(child)


def _remove(directory: Path, deadline: float) -> None:
    while True:
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise CnibenchError(f"{directory} cannot be removed: {error}") from error
            time.sleep(POLL_S)
