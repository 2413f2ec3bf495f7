"""Where on a node something is done: in its files, in its network, or in a container's.

The agent sees all processes of the node. The node itself is process 1: ``/proc/1/root`` is its root
file system, ``/proc/1/ns/net`` its network. A container is known by the identifier that its runtime
gave it, which is part of its control group's name whatever the runtime and cgroup driver.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps.lib.errors import RefusedError

NODE_ROOT = "/proc/1/root"
NODE_NETWORK = "/proc/1/ns/net"

_SHORTEST_ID = 12
_PARENT, _START_TIME = 1, 19
"""Indexes behind the name in ``stat`` (fields 4 and 22 of proc(5), less 3)."""

_main_processes: dict[str, int] = {}


@contextmanager
def node_root() -> Iterator[None]:
    """Run the block with the node's root file system as ours.

    Not by paths below ``/proc/1/root``: a symbolic link there, as ``/var/run`` to ``/run``, would
    lead into the agent's own files.
    """
    home = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chroot(NODE_ROOT)
        os.chdir("/")
        yield
    finally:
        os.fchdir(home)
        os.chroot(".")
        os.close(home)


def network(container: str | None) -> str:
    """File that stands for the network namespace of a container, or of the node for None."""
    return NODE_NETWORK if container is None else f"/proc/{main_process(container)}/ns/net"


def main_process(container: str) -> int:
    """The first process of a running container.

    Raises:
        RefusedError: no process of the node belongs to such a container.
    """
    known = _main_processes.get(container)
    if known is not None and _is_in(known, container):
        return known
    processes = processes_of(container)
    if not processes:
        raise RefusedError(f"no process of this node is in container {container[:_SHORTEST_ID]}")
    _main_processes[container] = first = min(processes, key=_started)
    return first


def processes_of(container: str) -> list[int]:
    """Every process in a container."""
    if len(container) < _SHORTEST_ID or not container.isalnum():
        raise RefusedError(f"{container!r} is no container's identifier")
    return [pid for pid in all_processes() if _is_in(pid, container)]


def all_processes() -> list[int]:
    """Every process of the node."""
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdigit()]


def children(pid: int) -> list[int]:
    """Processes that a process has started and that have not been waited for."""
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def parent(pid: int) -> int:
    """The process that started one, or that it was left to; 0 if it ended or that one is outside.

    Outside is what does not belong to this node: its container's runtime, if the node is one.
    """
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields else 0


def _is_in(pid: int, container: str) -> bool:
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False  # It ended.


def _started(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_START_TIME]) if fields else 1 << 62  # It ended: anything else is older.


def _stat(pid: int) -> list[str]:
    """Fields of ``stat`` behind the name, which may hold anything; none if the process ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
