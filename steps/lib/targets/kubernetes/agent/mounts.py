"""Mounts of the node, in its own mount namespace."""

import ctypes
import os
import re
from pathlib import Path

from steps.lib.errors import CnibenchError
from steps.lib.targets.kubernetes.agent.places import NODE_ROOT

_NODE_MOUNTS = "/proc/1/ns/mnt"
_CLONE_NEWNS = 0x00020000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def below(path: str) -> list[str]:
    """Mount points at or below a path, deepest first."""
    found = []
    for line in Path("/proc/1/mountinfo").read_text().splitlines():
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if point == path or point.startswith(f"{path}/"):
            found.append(point)
    return found[::-1]


def unmount_below(path: str) -> None:
    """Unmount all that is mounted at or below a path of the node."""
    points = below(path)
    if not points:
        return
    # In a child: a process cannot come back from another mount namespace to its own root.
    child = os.fork()
    if child == 0:
        os._exit(_unmounted(points))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise CnibenchError(f"{points} cannot be unmounted: {os.strerror(code)}")


def _unmounted(points: list[str]) -> int:
    """Do it, in a process that ends afterwards; 0, or the number of the error."""
    try:
        namespace = os.open(_NODE_MOUNTS, os.O_RDONLY)
        root = os.open(NODE_ROOT, os.O_RDONLY | os.O_DIRECTORY)
        if _libc.setns(namespace, _CLONE_NEWNS) != 0:
            return ctypes.get_errno()
        # The namespace's root may be another one than that of the node's first process.
        os.fchdir(root)
        os.chroot(".")
        for point in points:
            if _libc.umount2(os.fsencode(point), _MNT_DETACH) != 0:
                return ctypes.get_errno()
    except OSError as error:
        return error.errno or 1
    return 0
