"""A look at one node: its network namespace, its underlay device, its files."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.setting import UNDERLAY_NIC, LackingError
from steps.lib.targets.namespaces import netns, programs

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""Numbers of the calls, the same on every architecture; Python and glibc of Debian 12 lack them."""
_CMD_CREATE = 6
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Access:
    """One look: what several settings need is read once, so make a new one to see a change.

    Args:
        namespace: Name or file of the node's network namespace.
        uplink: The device that has the node's address.
    """

    namespace: str
    uplink: str
    features: dict[str, dict[str, dict[str, bool]]] = field(default_factory=dict)
    """Offload features by device, as far as they were looked at."""

    def device(self, scope: str) -> str:
        """The real name of the device that plays a role."""
        assert scope == UNDERLAY_NIC, "checked when the profile was loaded"
        return self.uplink

    @contextmanager
    def sys(self) -> Iterator[Path]:
        """``/sys`` with the devices of the node's namespace, mounted nowhere.

        The one that is mounted shows the devices of the namespace in which it was mounted: of a
        kernel that can do no other it is taken if that is the node's.

        Raises:
            RefusedError: the kernel is older than 5.2, and the namespace is not ours.
        """
        with netns.inside(self.namespace):
            opened = _sysfs()
        if opened is None:
            yield self._mounted_sys()
            return
        try:
            yield Path(f"/proc/self/fd/{opened}")
        finally:
            os.close(opened)

    def _mounted_sys(self) -> Path:
        own, node = Path("/proc/self/ns/net").stat(), netns.path(self.namespace).stat()
        if (own.st_dev, own.st_ino) != (node.st_dev, node.st_ino):
            raise RefusedError("/sys of a network namespace can be read on Linux 5.2 or later only")
        return Path("/sys")

    def attempt(self, *command: str) -> str | None:
        """Run a program in the node's network; its last words if it fails."""
        result = programs.run(command, namespace=self.namespace)
        said = result.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
        return (said or f"ended with {result.exit_code}") if result.exit_code else None

    def output(self, *command: str) -> str:
        """What a program says about the node's network.

        Raises:
            LackingError: it failed: the node has not what it was asked about.
        """
        result = programs.run(command, namespace=self.namespace)
        if result.exit_code:
            said = result.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
            raise LackingError(said or f"`{' '.join(command)}` ended with {result.exit_code}")
        return result.stdout.decode("utf-8", "replace")

    def require_queue_discipline(self, kind: str) -> None:
        """Try a kind of queue discipline where nobody sees it, which loads its module if it is one.

        Raises:
            LackingError: the kernel does not have it.
        """
        why = self.attempt("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", kind)
        if why:
            raise LackingError(f"this kernel has no queue discipline {kind!r}: {why}")

    def do(self, setting: object, value: str, *command: str) -> None:
        """Run a program that sets something.

        Raises:
            RefusedError: it failed.
        """
        why = self.attempt(*command)
        if why:
            raise RefusedError(f"{setting} cannot be set to {value!r}: {why}")


def _sysfs() -> int | None:
    """An open folder: the root of a ``sysfs`` of the calling thread's namespace.

    None where the kernel does not know how.
    """
    try:
        context = _call(_FSOPEN, b"sysfs", 0)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return None
        raise
    try:
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, 0, 0)
    finally:
        os.close(context)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"sysfs cannot be opened: {os.strerror(code)}")
    return result
