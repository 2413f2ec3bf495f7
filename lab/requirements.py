"""What a lab needs of the machine. Everything that is missing is said at once."""

import ctypes
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from lab import machines, processes, programs
from lab.groups import hierarchies
from lab.layout import CLUSTERS, Cluster, Lab, NodeKind, cache
from steps.lib.errors import InputError
from steps.lib.targets.namespaces.programs import run
from steps.lib.targets.namespaces.requirements import TOPOLOGY_KINDS, link_kind_problem

MEMORY_MIB = 1024
"""Of one cluster without pods: its control plane and its nodes, with some room."""

DOORS_MEMORY_MIB = 1536
"""Of Argo and the store. Most of it has the API server, for the definitions of Argo's kinds."""

DISK_MIB = 2048
"""Beside the images: what pods write, etcd, logs."""

INOTIFY_OF_CONTROL_PLANE = 12
INOTIFY_OF_NODE = 12
"""Of kubelet, containerd and kube-proxy, which have 9, and of a network plugin."""

OVERLAY = (
    'cd "$0" && mkdir lower upper work root && '
    "mount --types overlay overlay root --options lowerdir=lower,upperdir=upper,workdir=work"
)
"""Mounts an overlay in the folder that is its first word."""


def check(lab: Lab, clusters: Sequence[Cluster], nodes: NodeKind | None) -> None:
    """Refuse a machine that cannot run the clusters.

    Raises:
        InputError: one line for each thing that is missing, with what to do about it.
    """
    _require_root()
    starting = [each for each in clusters if not _runs(lab, f"{each.name}-apiserver")]
    problems = [*programs.missing(), *_kernel(), *_disk(lab), *_ports(lab, clusters)]
    if nodes == "vm":
        problems += machines.missing()
    memory_problems = _memory(starting, nodes)
    _refuse([*problems, *memory_problems, *inotify_problems(starting)])


def check_machine(lab: Lab) -> None:
    """Refuse a machine for which compiling and packing would be in vain.

    Raises:
        InputError: one line for each thing that is missing, with what to do about it.
    """
    _require_root()
    _refuse([*_kernel(), *_disk(lab), *inotify_problems(CLUSTERS)])


def _require_root() -> None:
    if os.geteuid() != 0:
        raise InputError("the lab makes namespaces and control groups: run it as root")


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InputError("this machine cannot run the lab:\n" + "\n".join(problems))


def _runs(lab: Lab, piece: str) -> bool:
    try:
        return processes.runs(lab, piece)
    except InputError:
        return False  # Without control groups nothing runs; `_kernel` says what is missing.


def _kernel() -> list[str]:
    reasons = {kind: link_kind_problem(kind) for kind in TOPOLOGY_KINDS}
    problems = [f"this kernel makes no {k} device: {why}" for k, why in reasons.items() if why]
    try:
        places = [each.place for each in hierarchies()]
    except InputError as error:
        return [*problems, str(error)]
    shut = [str(place) for place in places if not os.access(place, os.W_OK)]
    if shut:
        problems.append(f"{', '.join(shut)} cannot be written: groups for nodes are made there")
    return problems


def _memory(clusters: Sequence[Cluster], nodes: NodeKind | None) -> list[str]:
    needed = sum(MEMORY_MIB + DOORS_MEMORY_MIB * bool(each.doors) for each in clusters)
    if nodes == "vm":
        hosts = [host for each in clusters if not each.fixed_network for host in each.nodes]
        needed += machines.MEMORY_MIB * len(hosts)
    free = psutil.virtual_memory().available >> 20
    if free >= needed:
        return []
    return [
        f"{free} MiB of memory are free and {needed} are needed: end something, or bring up one "
        "cluster only (`--only target`)"
    ]


def _disk(lab: Lab) -> list[str]:
    folder = cache() / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free >> 20
    problems = []
    if free < DISK_MIB:
        problems.append(
            f"{folder} has {free} MiB free and needs {DISK_MIB}: make room, or set CNIBENCH_CACHE "
            "to a folder on another disk"
        )
    return problems + _overlay(lab.disk)


def _overlay(folder: Path) -> list[str]:
    """Nodes' file systems are overlays, which cannot be put on an overlay (in a container).

    It is tried where ``down`` removes what a kill leaves.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial.", dir=folder) as trial:
        result = run(["unshare", "--mount", "--", "sh", "-ec", OVERLAY, trial])
    with suppress(OSError):
        folder.rmdir()  # It goes unless it holds the disks of a lab that is here.
    if result.exit_code == 0:
        return []
    return [
        f"no overlay can be mounted on {folder.parent} ({result.stderr.decode().strip()}): set "
        "CNIBENCH_CACHE to a folder on a disk with ext4 or xfs"
    ]


def _ports(lab: Lab, clusters: Sequence[Cluster]) -> list[str]:
    ports = [(lab.port_of(each), each.name, f"{each.name}-gateway") for each in clusters] + [
        (lab.port + door.port_offset, door.name, each.piece_of(door))
        for each in clusters
        for door in each.doors
    ]
    return [
        f"{port} of 127.0.0.1, the port of {name}, is taken: choose another by "
        "`python -m lab --port`"
        for port, name, piece in ports
        # In this order: one that has just been started is in its group before it listens.
        if not _is_free(port) and not _runs(lab, piece)
    ]


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        # Connections that have ended and only fade away are in nobody's way.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def inotify_problems(clusters: Sequence[Cluster]) -> list[str]:
    """What to do if clusters need more inotify instances than this user has left.

    It is tried: the kernel tells its limit, and not how many are in use.
    """
    nodes = sum(len(each.nodes) for each in clusters)
    needed = len(clusters) * INOTIFY_OF_CONTROL_PLANE + nodes * INOTIFY_OF_NODE
    make = ctypes.CDLL(None).inotify_init1
    made = [one for _ in range(needed) if (one := make(os.O_CLOEXEC)) >= 0]
    for one in made:
        os.close(one)
    if len(made) == needed:
        return []
    return [
        f"{len(made)} inotify instances are left to this user and {needed} are needed: "
        "sysctl --write fs.inotify.max_user_instances=1024"
    ]
