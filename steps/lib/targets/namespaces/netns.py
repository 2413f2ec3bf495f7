"""Network namespaces by name, as ``ip netns`` makes them, and running this thread inside of one.

``setns`` and ``unshare`` act on the calling thread only. A socket, a child process or a file of
``/proc/thread-self/net`` and ``/proc/sys/net`` that is opened inside belongs to the namespace.
``/proc/net`` and ``/proc/self/net`` do not: they are those of the process's main thread.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steps.lib.errors import CnibenchError

DIRECTORY = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def path(name: str) -> Path:
    """File that stands for a named namespace; plugins and ``nsenter`` take it."""
    return DIRECTORY / name


def names(prefix: str) -> list[str]:
    """Named namespaces that begin with ``prefix``, also half-made ones."""
    try:
        return sorted(p.name for p in DIRECTORY.iterdir() if p.name.startswith(prefix))
    except FileNotFoundError:
        return []


def is_whole(name: str) -> bool:
    """Whether a name stands for a namespace; a kill can leave the name alone, as an empty file."""
    file = path(name)
    return file.exists() and file.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


@contextmanager
def inside(name: str | None) -> Iterator[None]:
    """Run the block in a named namespace, then come back to where the thread was.

    None is where it is already, for which no right is needed.

    Raises:
        CnibenchError: there is no such namespace, or a kill left it half made.
    """
    if name is None:
        yield
        return
    try:
        place = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise CnibenchError(f"network namespace {name} does not exist") from error
    try:
        if not is_whole(name):
            raise CnibenchError(f"network namespace {name} is half made")
        with _returning():
            _call("setns", place, _CLONE_NEWNET)
            yield
    finally:
        os.close(place)


@contextmanager
def scratch() -> Iterator[None]:
    """Run the block in a new namespace without a name; the kernel drops it at the end."""
    with _returning():
        _call("unshare", _CLONE_NEWNET)
        yield


def create(name: str) -> None:
    """Make an empty namespace. It lives until ``delete``, whoever dies meanwhile.

    Raises:
        CnibenchError: the name is taken.
    """
    _share_directory()
    try:
        path(name).touch(mode=0o444, exist_ok=False)
    except FileExistsError as error:
        raise CnibenchError(f"network namespace {name} exists already") from error
    with scratch():
        _mount("/proc/thread-self/ns/net", path(name), _MS_BIND)


def delete(name: str) -> None:
    """Take the name away; the namespace ends with its last process. Absent or half-made is fine.

    Its links go with it, some milliseconds later: the kernel does that in the background.
    """
    target = os.fsencode(path(name))
    while _libc.umount2(target, _MNT_DETACH) == 0:
        pass  # A name can be mounted over; each layer would keep the namespace alive.
    path(name).unlink(missing_ok=True)


def processes(namespaces: Iterable[str]) -> set[int]:
    """Processes that live in any of the namespaces."""
    ours = set()
    for name in namespaces:
        try:
            ours.add(_identity(path(name)))
        except FileNotFoundError:
            continue
    found = set()
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and _identity(directory / "ns/net") in ours:
                found.add(int(directory.name))
        except OSError:
            continue  # It ended, or is a zombie, which has no namespaces any more.
    return found


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


@contextmanager
def _returning() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _call("setns", home, _CLONE_NEWNET)
        finally:
            os.close(home)


def _share_directory() -> None:
    """Make the directory a shared mount point, exactly as ``ip netns add`` does.

    Otherwise the first ``ip netns add`` of somebody else would bind it over itself and pin our
    namespaces below. The lock is the one that iproute2 takes: two binds at once would stack.
    """
    DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    lock = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _mount("", DIRECTORY, _MS_SHARED | _MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: not a mount point yet
                raise
            _mount(str(DIRECTORY), DIRECTORY, _MS_BIND | _MS_REC)
            _mount("", DIRECTORY, _MS_SHARED | _MS_REC)
    finally:
        os.close(lock)


def _mount(source: str, place: Path, flags: int) -> None:
    _call("mount", source.encode(), os.fsencode(place), b"none", ctypes.c_ulong(flags), None)


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")
