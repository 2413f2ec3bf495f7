"""Control groups of a lab: one for each piece, in every hierarchy of the machine.

That is version 2 alone, at ``/sys/fs/cgroup``; or, below it, hierarchies of version 1 that have the
controllers, and one of version 2 in which processes are found and killed.

A process of the lab is in its piece's group from before its first instruction, so the groups tell
what runs, also after whoever started it was killed, and ``down`` ends all of it by them.
"""

import errno
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steps.lib.errors import CnibenchError, InputError, TransientError

TOP = Path("/sys/fs/cgroup")
END_TIMEOUT_S = 20.0
POLL_S = 0.02
COMMAND = "command"
"""Group of a ``lab up`` at work and of the helpers that it runs, so that ``down`` ends them too."""

CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""What kubelet refuses to start without."""

DELEGATED = (*CONTROLLERS, "hugetlb", "io")
"""What it makes use of. A group of version 2 has only what its parent hands down."""

INNER = "init"
"""Group of a node's own processes, see ``Groups.create_inner``."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy; ``options`` is what mounts it again (``cpu,cpuacct``)."""

    place: Path
    options: str

    @property
    def is_alone(self) -> bool:
        """Whether it is that of version 2 and has all controllers."""
        return self.place == TOP

    @property
    def name(self) -> str:
        """Where a node mounts it, below ``/sys/fs/cgroup``."""
        return "." if self.is_alone else self.place.name


def hierarchies() -> list[Hierarchy]:
    """All hierarchies of the machine, that of version 2 first.

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
    if found[""].is_alone:
        return [found[""]]
    return sorted(found.values(), key=lambda each: each.options)


def _require(found: dict[str, Hierarchy]) -> None:
    if "" not in found:
        raise InputError(
            "no cgroup2 file system is mounted: mkdir -p /sys/fs/cgroup/unified && "
            "mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    if found[""].is_alone:
        present = _controllers(TOP)
        where, remedy = f"cgroup2 at {TOP} has no", "start the kernel without cgroup_disable"
    else:
        present = {name for options in found for name in options.split(",")}
        where = "no version 1 control group hierarchy has"
        remedy = f"mount each below {TOP}, or start the machine with version 2 alone"
    if absent := [name for name in CONTROLLERS if name not in present]:
        raise InputError(f"{where} {', '.join(absent)}, which a kubelet needs: {remedy}")


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
            if hierarchy.is_alone:
                _delegate(hierarchy.place)
                _delegate(directory.parent)
            if "cpuset" in hierarchy.options.split(","):
                _fill(directory.parent)
                _fill(directory)
            entries.append(directory / "cgroup.procs")
        return entries

    def create_inner(self, piece: str) -> Path:
        """Make a group of version 2 inside of a piece's; the file to join it.

        A piece that makes groups itself, as a kubelet does, keeps its processes there: in version 2
        a group that hands controllers down has no process of its own.
        """
        directory = self.root / piece / INNER
        directory.mkdir(parents=True, exist_ok=True)
        return directory / "cgroup.procs"

    def enter(self) -> None:
        """Put this process, and what it starts from now on, where ``down`` will find it.

        Raises:
            TransientError: ``down`` is at work just now.
        """
        directory = self.root / COMMAND
        try:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "cgroup.procs").write_text("0")
        except OSError as error:
            raise TransientError(f"{directory} vanishes, is the lab going down? {error}") from error

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

    def end(self, piece: str = ".") -> None:
        """End all of one piece, or of the whole lab, at once; remove its groups. Absent is fine.

        Whoever joins meanwhile is ended as well. A group counts as busy until the kernel has buried
        its last process, a moment after the kill.

        Raises:
            CnibenchError: something does not die.
        """
        deadline = time.monotonic() + END_TIMEOUT_S
        while busy := self._remove(piece):
            if time.monotonic() > deadline:
                alive = sorted(self.processes(piece))
                raise CnibenchError(f"{busy[0]} stays busy; processes that do not die: {alive}")
            # One that has just gone needs it no more; for all else there is the deadline.
            with suppress(OSError):
                (self.root / piece / "cgroup.kill").write_text("1")
            time.sleep(POLL_S)

    def _remove(self, piece: str) -> list[Path]:
        """Remove the groups of a piece in which nothing is; those that stay."""
        places = [each.place / self.name / piece for each in self.hierarchies]
        # Children first.
        found = [directory for place in places for directory in reversed(list(_tree(place)))]
        return [directory for directory in found if not _is_removed(directory)]


def _controllers(directory: Path) -> set[str]:
    """Those of a group of version 2."""
    return set((directory / "cgroup.controllers").read_text().split())


def _delegate(directory: Path) -> None:
    """Let the groups inside of one of version 2 have the controllers that it has."""
    for name in _controllers(directory) & set(DELEGATED):
        try:
            (directory / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError as error:
            raise CnibenchError(
                f"{directory} does not hand {name} down to groups inside of it: {error}; a "
                "container cannot run the lab, unless no process is in its topmost group"
            ) from error


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


def _is_removed(directory: Path) -> bool:
    """Whether a group is gone, if need be by removing it."""
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise CnibenchError(f"{directory} cannot be removed: {error}") from error
        return False
    return True
