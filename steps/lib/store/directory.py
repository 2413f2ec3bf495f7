"""A store in a directory of this machine."""

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs

from steps.lib.errors import InputError
from steps.lib.store.base import NoSuchObjectError, StoredObject

LEFTOVER_AGE_S = 3600.0
"""A write takes milliseconds; what lies in ``.incoming`` this long belongs to a killed process."""

_ADVICE = {
    errno.EROFS: "the file system is read-only; choose another --store",
    errno.EACCES: "you may not do that there; change the rights or choose another --store",
    errno.EPERM: "the file system refuses it (hard links are needed); choose another --store",
    errno.ENOSPC: "the disk is full; make room and start again, what is stored is whole",
    errno.EDQUOT: "your quota is used up; make room and start again, what is stored is whole",
    errno.ENOTDIR: "part of the path is a file; choose another --store",
    errno.EEXIST: "part of the path is a file; choose another --store",
}


def remove_if_older(path: Path, age_s: float) -> None:
    """Remove a file that was left behind; another process may be faster."""
    with suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > age_s:
            path.unlink()


def mark_used(path: Path) -> None:
    """Have a file count as new from now on; who may only read it cannot."""
    with suppress(OSError):
        os.utime(path)


def user_cache(address: str) -> Path:
    """Where copies of a store live that cannot hold its own."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "cnibench" / "stores" / hashlib.sha256(address.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DirectoryStore:
    """Objects are files.

    A new object is written to ``.incoming`` and forced to disk, and only then linked to its name:
    linking is atomic and fails where the name exists. So a killed process, or a power cut, leaves
    either the whole object or none, and of several writers one wins.
    """

    root: Path

    @property
    def address(self) -> str:
        """The directory."""
        return str(self.root)

    @property
    def cache(self) -> Path:
        """Inside the store, so that both go together; elsewhere if it cannot be written."""
        inside = self.root / ".cache"
        if os.access(inside if inside.exists() else self.root, os.W_OK):
            return inside
        return user_cache(str(self.root.resolve()))

    def open(self, *, create: bool) -> None:
        """Check the place, make the directory, sweep what killed writes left."""
        with self._explained("open"):
            if not self.root.is_dir():
                self._check_place()
                if create:
                    self.root.mkdir()
            elif create:
                self._sweep()

    def create(self, key: str, data: bytes) -> bool:
        """See ``Store``."""
        target = self.root / key
        incoming = self.root / ".incoming" / f"{os.getpid()}-{uuid.uuid4().hex}"
        with self._explained(f"create {key}"):
            if target.exists():
                return False
            for folder in (incoming.parent, target.parent):
                _make_folder(folder)
            try:
                _write(incoming, data)
                os.link(incoming, target)
            except FileExistsError:
                return False
            finally:
                incoming.unlink(missing_ok=True)
            _sync(target.parent)
        return True

    def read(self, key: str) -> bytes:
        """See ``Store``."""
        with self._explained(f"read {key}"):
            try:
                return (self.root / key).read_bytes()
            except FileNotFoundError:
                raise NoSuchObjectError(f"store {self.address}: no object {key}") from None

    def exists(self, key: str) -> bool:
        """See ``Store``."""
        return (self.root / key).is_file()

    def objects(self, prefix: str) -> list[StoredObject]:
        """See ``Store``."""
        with self._explained(f"list {prefix}"):
            return sorted(_walk(self.root / prefix, prefix), key=lambda found: found.key)

    def probe(self) -> None:
        """Nothing to prove: ``link`` never replaces a file."""

    def filesystem(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """See ``Store``."""
        return pyarrow.fs.LocalFileSystem(), str(self.root.absolute())

    def _check_place(self) -> None:
        if self.root.exists():
            raise InputError(f"store {self.root}: is a file; --store takes a directory")
        if not self.root.absolute().parent.is_dir():
            raise InputError(
                f"store {self.root}: {self.root.absolute().parent} does not exist or is no "
                "directory; make it first, or correct --store"
            )

    def _sweep(self) -> None:
        for leftover in (self.root / ".incoming").glob("*"):
            remove_if_older(leftover, LEFTOVER_AGE_S)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = _ADVICE.get(error.errno or 0, "see the message; then try again")
            raise InputError(
                f"store {self.address}: cannot {what}: {error.strerror}: {advice}"
            ) from error


def _walk(folder: Path, prefix: str) -> Iterator[StoredObject]:
    """Files below a folder; names that start with a dot are not objects."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            else:
                status = entry.stat()
                yield StoredObject(prefix + entry.name, status.st_size, str(status.st_mtime_ns))


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each one safe on disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Force the folder's list of names to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
