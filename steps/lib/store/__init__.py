"""The result store: where rows are kept, written once and never changed."""

from pathlib import Path
from urllib.parse import urlsplit

from steps.lib.errors import InputError
from steps.lib.store.base import NoSuchObjectError, Store, StoredObject
from steps.lib.store.collected import Collected, collect
from steps.lib.store.consolidated import Consolidated, Damaged, consolidate
from steps.lib.store.directory import DirectoryStore
from steps.lib.store.marker import check_or_mark
from steps.lib.store.rows import (
    dataset,
    measured_cells,
    read_measurement,
    read_rows,
    store_measurement,
    write_rows,
)
from steps.lib.store.s3 import S3Store, settings_from_environment

__all__ = [
    "Collected",
    "Consolidated",
    "Damaged",
    "NoSuchObjectError",
    "Store",
    "StoredObject",
    "collect",
    "consolidate",
    "dataset",
    "measured_cells",
    "open_store",
    "read_measurement",
    "read_rows",
    "store_measurement",
    "write_rows",
]


def open_store(address: str, *, create: bool = True) -> Store:
    """Open the store at ``address``.

    Args:
        address: A directory, or ``s3://bucket/prefix`` (server and keys come from the environment
            variables CNIBENCH_S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION).
        create: Make a store that does not exist yet; else it is read as an empty one.

    Raises:
        InputError: there cannot be a store, or it is one of a newer cnibench.
        TransientError: the server does not answer.
    """
    scheme, separator, _ = address.partition("://")
    store: Store
    if not separator:
        store = _open_directory(address, create=create)
    elif scheme == "s3":
        store = _open_bucket(address)
    else:
        raise InputError(f"store {address}: {scheme}:// is not known; use a directory or s3://")
    check_or_mark(store, create=create)
    return store


def _open_directory(address: str, *, create: bool) -> Store:
    if not address:
        raise InputError("store: the address is empty; name a directory or s3://bucket/prefix")
    store = DirectoryStore(Path(address))
    store.open(create=create)
    return store


def _open_bucket(address: str) -> Store:
    parts = urlsplit(address)
    if not parts.netloc:
        raise InputError(f"store {address}: names no bucket; write s3://bucket/prefix")
    folder = parts.path.strip("/")
    return S3Store(parts.netloc, f"{folder}/" if folder else "", settings_from_environment())
