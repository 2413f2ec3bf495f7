"""Control groups (version 2) of our own: exact CPU of the tools, and a way to find them again."""

import errno
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from steps.lib.errors import CnibenchError

KILL_TIMEOUT_S = 10.0
KILL_INTERVAL_S = 0.005


def mount_point() -> Path | None:
    """Where version 2 is mounted: ``/sys/fs/cgroup``, or below it on hybrid systems."""
    return _mounts()[0]


def of_processes(processes: Collection[int]) -> set[Path]:
    """Groups that may limit the CPU of processes; of those that have ended none.

    A container sees its own group in the place of the root, whatever that group is called.
    """
    unified, version_1 = _mounts()
    found = set()
    for pid in processes:
        try:
            text = Path(f"/proc/{pid}/cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in text.splitlines():  # As ``2:cpu,cpuacct:/some/group`` or ``0::/group``.
            _, controllers, group = line.split(":", 2)
            mounted = unified if not controllers else version_1
            if mounted is not None and (not controllers or "cpu" in controllers.split(",")):
                place = mounted / group.lstrip("/")
                found.add(place if place.is_dir() else mounted)
    return found


@cache
def _mounts() -> tuple[Path | None, Path | None]:
    """Where version 2, and where the CPU controller of version 1, is mounted."""
    unified, version_1 = None, None
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and unified is None:
            unified = Path(place)
        if kind == "cgroup" and "cpu" in options.split(","):
            version_1 = Path(place)
    return unified, version_1


@dataclass(frozen=True)
class Groups:
    """The groups of one target, all below one group of that target's name."""

    name: str
    _limiting: set[Path] = field(default_factory=set, compare=False)

    @cached_property
    def root(self) -> Path:
        """Directory of the target's group, which may not exist yet.

        Raises:
            CnibenchError: no version 2 hierarchy; preflight should have said so.
        """
        mounted = mount_point()
        if mounted is None:
            raise CnibenchError("no cgroup2 file system is mounted; CPU of tools cannot be counted")
        return mounted / self.name

    def entry(self, group: str) -> Path:
        """File into which a process writes ``0`` to join ``group``; the group is made if absent."""
        directory = self.root / group
        directory.mkdir(parents=True, exist_ok=True)
        return directory / "cgroup.procs"

    def usage_s(self) -> dict[str, float]:
        """CPU seconds of each group so far, of processes that ended too."""
        return {
            directory.name: int(_field(directory / "cpu.stat", "usage_usec")) / 1e6
            for directory in self._directories()
        }

    def processes(self) -> set[int]:
        """Every process in any of the groups."""
        found: set[int] = set()
        for directory in self._directories():
            found.update(int(pid) for pid in (directory / "cgroup.procs").read_text().split())
        return found

    def limiting(self, tools: Collection[int]) -> set[Path]:
        """Every group that may have limited this process or a tool, also one that just ended."""
        self._limiting.update(of_processes({os.getpid(), *tools}))
        return self._limiting

    def remove(self) -> None:
        """Remove the groups; their processes must have been killed.

        A group counts as busy until the kernel has buried its last one, a moment after the kill.
        """
        deadline = time.monotonic() + KILL_TIMEOUT_S
        waiting = [*self._directories(), self.root] if self.root.is_dir() else []
        while waiting:
            try:
                waiting[0].rmdir()
                waiting.pop(0)
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise CnibenchError(f"{waiting[0]} cannot be removed: {error}") from error
                time.sleep(KILL_INTERVAL_S)

    def _directories(self) -> list[Path]:
        return sorted(p for p in self.root.glob("*") if p.is_dir())


def kill_all(find: Callable[[], set[int]]) -> None:
    """Kill the processes that ``find`` finds until it finds none: they may fork while we look.

    Raises:
        CnibenchError: some do not die.
    """
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while found := find() - {os.getpid()}:
        if time.monotonic() > deadline:
            raise CnibenchError(f"processes {sorted(found)} do not die, even by SIGKILL")
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(KILL_INTERVAL_S)


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return value
    raise CnibenchError(f"{file} has no {name}")
