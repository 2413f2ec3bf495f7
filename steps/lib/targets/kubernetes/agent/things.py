"""Files, folders, pinned programs and kernel settings of the node, as lines."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from steps.lib.targets.kubernetes.agent import bpf, places
from steps.lib.targets.namespaces import netns

BPF_FILES = Path("/sys/fs/bpf")

HASHED = (
    "/etc/cni/net.d",
    "/opt/cni/bin",
    "/etc/sysctl.d",
    "/etc/modules-load.d",
    "/etc/NetworkManager/conf.d",
    "/etc/systemd/network",
)
LISTED_FOLDERS = ("/run", "/var/lib", "/var/lib/cni", "/var/lib/cni/networks", "/var/log")
"""Where plugins have folders of their own."""

IGNORED_FOLDERS = (
    "/run/containerd",
    "/run/crio",
    "/run/docker",
    "/run/lock",
    "/run/log",
    "/run/netns",
    "/run/sshd",
    "/run/sudo",
    "/run/systemd",
    "/run/udev",
    "/run/user",
    "/var/lib/cni",
    "/var/lib/cni/cache",
    "/var/lib/cni/networks",
    "/var/lib/cni/results",
    "/var/log/containers",
    "/var/log/pods",
)
"""Of the container runtime and the system, made when they are needed first; results of CNI calls
are kept, and taken away, by the runtime."""

WHOLE_KERNEL = (
    "kernel/numa_balancing",
    "kernel/panic",
    "kernel/perf_event_paranoid",
    "kernel/timer_migration",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "vm/max_map_count",
    "vm/swappiness",
)
"""Settings outside of ``net`` that plugins and their charts are known to change. Not
``kernel/unprivileged_bpf_disabled``: it cannot be changed back once it is 1, and matters to no
measurement."""

_PER_DEVICE = ("conf", "neigh")
_FOR_ALL_DEVICES = ("all", "default")
_VOLATILE = ("nf_conntrack_count", "tcp_fastopen_key", "fib_multipath_hash_seed", "flush")
_TEXT_MAX = 4096


def bpf_pins() -> list[str]:
    """Everything pinned in the node's bpf file system."""
    with places.node_root():
        return [str(p.relative_to(BPF_FILES)) for p in sorted(BPF_FILES.rglob("*"))]


def cgroup_programs() -> list[str]:
    """Programs on the control groups that hold everything on the node."""
    lines = []
    for directory in _node_groups():
        lines += [f"{directory} {line}" for line in bpf.on_cgroup(directory)]
    return [line.removeprefix(places.NODE_ROOT) for line in lines]


def files() -> list[str]:
    """Files of the folders where plugins write, with the sha256 of each."""
    with places.node_root():
        return [
            f"{file} {_digest(file)}"
            for folder in HASHED
            for file in sorted(Path(folder).rglob("*"))
            if file.is_symlink() or not file.is_dir()
        ]


def folders() -> list[str]:
    """Folders where each program has its own."""
    with places.node_root():
        paths = [path for root in LISTED_FOLDERS for path in _folders_in(root)]
    return [path for path in paths if path not in IGNORED_FOLDERS]


def settings() -> list[str]:
    """``net.*`` of the node, but for those of single devices, and some of the whole kernel."""
    root = Path("/proc/sys")
    with netns.inside(places.NODE_NETWORK):
        files = [*_settings(root / "net"), *(root / name for name in WHOLE_KERNEL)]
        return [f"{file.relative_to(root)} = {_value(file)}" for file in files]


def _settings(directory: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(directory), key=lambda e: e.name):
        if entry.is_dir():
            if directory.name not in _PER_DEVICE or entry.name in _FOR_ALL_DEVICES:
                yield from _settings(Path(entry.path))
        elif entry.name not in _VOLATILE:
            yield Path(entry.path)


def _value(file: Path) -> str:
    try:
        return " ".join(file.read_text()[:_TEXT_MAX].split())
    except OSError as error:
        return f"({error.strerror})"


def _folders_in(root: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _digest(file: Path) -> str:
    if file.is_symlink():
        return f"-> {file.readlink()}"
    if not file.is_file():
        return "(no file)"
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _node_groups() -> list[Path]:
    """The root of version 2 as the node sees it, and the group of its first process."""
    root = Path(places.NODE_ROOT, "sys/fs/cgroup")
    mounted = next((p for p in (root, root / "unified") if (p / "cgroup.procs").exists()), None)
    if mounted is None or not (mounted / "cgroup.controllers").exists():
        return []
    own = [line for line in Path("/proc/1/cgroup").read_text().splitlines() if line[:3] == "0::"]
    inside = mounted / own[0][3:].strip("/") if own else mounted
    return [mounted, inside] if inside.is_dir() and inside != mounted else [mounted]
