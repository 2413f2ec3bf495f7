"""What a store is: objects that are created once, read, and listed; nothing is ever changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.fs

from steps.lib.errors import InputError


class NoSuchObjectError(InputError):
    """The store has no object of that key."""


@dataclass(frozen=True)
class StoredObject:
    """One object as listed.

    Attributes:
        key: Its name in the store.
        size: Bytes.
        version: Differs when somebody put another content under the same key.
    """

    key: str
    size: int
    version: str


class Store(Protocol):
    """Where results are kept: a directory or a bucket; the code above does not know which.

    Every method raises InputError for what a person has to change (rights, a full disk, a wrong
    key, a missing bucket) and TransientError where the store does not answer now.
    """

    @property
    def address(self) -> str:
        """As a person would write it, for messages."""

    @property
    def cache(self) -> Path:
        """A local directory that may be deleted at any time."""

    def create(self, key: str, data: bytes) -> bool:
        """Create an object, whole or not at all; False when the key exists already."""

    def read(self, key: str) -> bytes:
        """Content of an object; NoSuchObjectError if there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""

    def objects(self, prefix: str) -> list[StoredObject]:
        """All objects below a prefix that ends with ``/``, sorted by key."""

    def probe(self) -> None:
        """Prove that the store refuses a second write of a key; InputError if it does not."""

    def filesystem(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The store for pyarrow: file system, and path of the store in it."""
