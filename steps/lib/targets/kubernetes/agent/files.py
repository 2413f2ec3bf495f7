"""Files of the node: read, written so that they are whole after a crash, taken away."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import mounts
from steps.lib.targets.kubernetes.agent.places import node_root

TEXT_BYTES_MAX = 1 << 20

SYSTEM_FOLDERS = frozenset(
    f"/{path}"
    for path in (
        "etc/cni",
        "etc/cni/net.d",
        "etc/kubernetes",
        "etc/systemd",
        "etc/sysctl.d",
        "opt/cni",
        "opt/cni/bin",
        "run/containerd",
        "run/netns",
        "run/systemd",
        "sys/fs/bpf",
        "sys/fs/cgroup",
        "usr/bin",
        "usr/lib",
        "usr/libexec",
        "usr/local",
        "usr/sbin",
        "usr/share",
        "var/lib",
        "var/lib/cni",
        "var/lib/containerd",
        "var/lib/etcd",
        "var/lib/kubelet",
        "var/log",
        "var/run",
    )
)
"""What no plugin owns as a whole, whatever its description says."""


def read_file(path: str) -> dict[str, Any] | None:
    """Size, sha256 and, if it is not long, text of a file; None if there is no such file."""
    with node_root():
        file = Path(_checked(path))
        if not file.is_file():
            return None
        content = file.read_bytes()
    found: dict[str, Any] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if len(content) <= TEXT_BYTES_MAX:
        found["text"] = content.decode("utf-8", "replace")
    return found


def hashes(directory: str) -> dict[str, str]:
    """Names of the files in a folder, with the sha256 of each; none where there is no folder."""
    with node_root():
        return {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(Path(_checked(directory)).glob("*"))
            if file.is_file()
        }


def exists(path: str) -> bool:
    """Whether the node has such a file or folder."""
    with node_root():
        return Path(_checked(path)).exists()


def write_file(path: str, text: str, mode: int = 0o644) -> None:
    """Replace a file at once: a reader sees the old or the new text, also after a power cut."""
    with node_root():
        file = Path(_checked(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        # The last part of the name says what a file is for, so that nobody reads this one yet.
        fresh = file.with_name(f".{file.name}.cnibench-tmp")
        with fresh.open("w") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
        _sync(file.parent)


def remove(pattern: str) -> list[str]:
    """Take away all files and folders that match; the folder above stays.

    What is mounted there is unmounted first: a plugin may have mounted the control groups, and
    taking away the folder would then end those of the whole node.

    Raises:
        RefusedError: the pattern matches what belongs to the system; nothing was taken away.
    """
    found = matching(pattern)
    for path in found:
        take_away(path)
    return found


def matching(pattern: str) -> list[str]:
    """Files and folders that match; refused as in ``remove``."""
    refuse_wide(pattern)
    with node_root():
        found = sorted(map(str, Path("/").glob(pattern.lstrip("/"))))
    for path in found:
        if os.path.normpath(path) in SYSTEM_FOLDERS:
            raise RefusedError(f"{pattern}: {path} belongs to the system and stays")
    return found


def take_away(path: str) -> None:
    """Take away one that ``matching`` found."""
    mounts.unmount_below(path)
    with node_root():
        _remove(Path(path))


def refuse_wide(pattern: str) -> None:
    """Refuse a pattern that does not say whose files it is about."""
    parts = PurePosixPath(_checked(pattern)).parts[1:]
    if len(parts) < 2 or any(_is_pattern(part) for part in parts[:2]):
        raise RefusedError(f"{pattern}: must begin with two folders by name, as in /run/x")
    for index, part in enumerate(parts):
        above = "/" + "/".join(parts[:index])
        if above in SYSTEM_FOLDERS and not part.strip("*?"):
            raise RefusedError(f"{pattern}: everything in {above} is more than one plugin has")


def _remove(path: Path) -> None:
    if not os.path.lexists(path):
        return  # It went with the folder that it was in.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    _sync(path.parent)


def _checked(path: str) -> str:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise RefusedError(f"{path!r} is not an absolute path without `..`")
    return path


def _is_pattern(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
