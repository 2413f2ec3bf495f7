"""CPU and counters of the node, in one call: it lies at the edges of measured windows."""

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from steps.lib.targets import features, proc
from steps.lib.targets.cycles import Cycles
from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.namespaces import netns

_NET = Path("/proc/thread-self/net")
"""Not ``/proc/net``, which is the main thread's whatever namespace this thread is in."""

_HIERARCHIES = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu", "", "unified")
"""Where below ``/sys/fs/cgroup`` CPU is counted: version 1, version 2, both ("hybrid")."""

_DEPTH_MAX = 5
_KUBEPODS = re.compile(r"(^|-)kubepods(\.slice)?$")
_POD = re.compile(r"pod([0-9a-f]{8}[-_]?(?:[0-9a-f]{4}[-_]?){3}[0-9a-f]{12}|[0-9a-f]{32})")
"""A pod's identifier in its group's name: with ``-`` or, under systemd, ``_``."""

_cycles = Cycles()
_pod_parents: list[Path] = []


def reading(
    places: Mapping[str, str | None], containers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """CPU first, then at once the counters of each named place (None is the node itself)."""
    return {
        "cpu": cpu(containers),
        "counters": {name: counters(container) for name, container in places.items()},
    }


def cpu(containers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """CPU of the machine, of each pod by its identifier (uid) without dashes, of containers.

    Args:
        containers: Identifiers of some containers, with that of each one's pod.
    """
    at_s, clock_s = time.monotonic(), time.time()
    total_cycles = _cycles.read()
    with Path("/proc/stat").open() as file:
        modes = proc.modes(file.readline())
    pods = _pods()
    groups = {
        container: group
        for container, pod in (containers or {}).items()
        if (group := _group_of_container(pods.get(plain_uid(pod)), container)) is not None
    }
    return {
        "at_s": at_s,
        "clock_s": clock_s,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "cpus": os.cpu_count() or 1,
        **modes._asdict(),
        "pods": {pod: used for pod, d in pods.items() if (used := _usage_s(d)) is not None},
        "containers": {c: used for c, d in groups.items() if (used := _usage_s(d)) is not None},
        "throttled": proc.throttled(map(_limiting, groups.values())),
        "cycles": total_cycles,
    }


def counters(container: str | None = None) -> dict[str, Any]:
    """Counters of the devices and of the stack of a container's network, or of the node's."""
    with netns.inside(places.network(container)):
        devices = proc.devices((_NET / "dev").read_text())
        return {
            "devices": devices,
            "stack": proc.stack(_NET),
            "offloads": features.active(devices),
        }


def pod_of(groups: str) -> str | None:
    """Identifier, without dashes, of the pod of a process, by its ``/proc/<pid>/cgroup``."""
    match = _POD.search(groups)
    return plain_uid(match[1]) if match else None


def _pods() -> dict[str, Path]:
    """The group of each pod on this kernel, as far as this node sees the groups."""
    global _pod_parents
    if not _pod_parents:
        _pod_parents = list(_find_pod_parents())
    return {pod: directory for parent in _pod_parents for directory, pod in _pods_in(parent)}


def _group_of_container(pod: Path | None, container: str) -> Path | None:
    """The group of a container: it is in the pod's, and its name holds its identifier."""
    for directory in _directories(pod) if pod is not None else ():
        if container in directory.name:
            return directory
    return None


def _limiting(group: Path) -> Path:
    """The group that limits CPU, where version 1 counts and limits it in two hierarchies."""
    parts = ["cpu" if part == "cpuacct" else part for part in group.parts]
    return Path(*parts)


def _find_pod_parents() -> Iterator[Path]:
    """Groups that may hold groups of pods: ``kubepods`` and its classes of service.

    Only their names tell, and a class may have no pod yet. The first hierarchy that has any is
    the one that counts CPU.
    """
    root = Path(places.NODE_ROOT, "sys/fs/cgroup")
    for hierarchy in _HIERARCHIES:
        found = list(_kubepods(root / hierarchy, _DEPTH_MAX))
        if any(_counts_cpu(directory) for directory in found):
            yield from found
            return


def _kubepods(directory: Path, depth: int) -> Iterator[Path]:
    for child in _directories(directory):
        if _KUBEPODS.search(child.name):
            yield child
            yield from (c for c in _directories(child) if not _POD.search(c.name))
        elif depth:
            yield from _kubepods(child, depth - 1)


def _pods_in(parent: Path) -> Iterable[tuple[Path, str]]:
    for directory in _directories(parent):
        match = _POD.search(directory.name)
        if match:
            yield directory, plain_uid(match[1])


def _directories(parent: Path) -> Collection[Path]:
    try:
        with os.scandir(parent) as entries:
            return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # It ended just now.


def _counts_cpu(directory: Path) -> bool:
    return _usage_s(directory) is not None


def _usage_s(directory: Path) -> float | None:
    """CPU seconds of a group, of processes that ended too; None if it does not count them."""
    try:
        return int((directory / "cpuacct.usage").read_text()) / 1e9
    except OSError:
        pass
    try:
        first = (directory / "cpu.stat").read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return None
    return int(first[1]) / 1e6 if first[0] == "usage_usec" else None


def plain_uid(pod: str) -> str:
    """A pod's identifier as the names of groups are compared: without dashes."""
    return pod.replace("-", "").replace("_", "")
