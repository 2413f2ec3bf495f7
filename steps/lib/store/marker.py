"""The marker object of a store: which schema it has, so that no version misreads another's."""

import importlib.metadata
import json

from steps.lib.errors import InputError
from steps.lib.store.base import NoSuchObjectError, Store
from steps.lib.store.keys import MARKER
from steps.lib.tables import SCHEMA_VERSION


def check_or_mark(store: Store, *, create: bool) -> None:
    """Accept a store of our schema; mark a new one, once it proved to be create-only.

    Raises:
        InputError: the schema is not ours, or the store does not refuse second writes.
    """
    try:
        found = store.read(MARKER)
    except NoSuchObjectError:
        if create:
            store.probe()
            mark = {"schema": SCHEMA_VERSION, "cnibench": _own_version()}
            store.create(MARKER, json.dumps(mark).encode() + b"\n")
        return
    _check(store.address, found)


def _own_version() -> str | None:
    """None in a checkout that is run without being installed."""
    try:
        return importlib.metadata.version("cnibench")
    except importlib.metadata.PackageNotFoundError:
        return None


def _check(address: str, found: bytes) -> None:
    try:
        mark = json.loads(found)
        schema, maker = int(mark["schema"]), str(mark.get("cnibench") or "of a later date")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"store {address}: {MARKER} is damaged ({error}); if all else in there is whole, "
            f'write {{"schema": {SCHEMA_VERSION}}} into it'
        ) from error
    if schema > SCHEMA_VERSION:
        raise InputError(
            f"store {address}: has schema {schema}, this cnibench knows {SCHEMA_VERSION} and "
            f"would misread it; use cnibench {maker} or newer"
        )
