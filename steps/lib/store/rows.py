"""Rows in and out of a store, under the keys that their identities make."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import zstandard

from steps.lib.errors import CnibenchError, InputError
from steps.lib.store import keys
from steps.lib.store.base import NoSuchObjectError, Store
from steps.lib.store.parquet import DamagedError, Row, decode, encode
from steps.lib.tables import TABLES, schema

if TYPE_CHECKING:
    import pyarrow.dataset

_FEW_BYTES = 12
"""No Parquet object is this small: two magic words and the length of a footer."""

_ATTEMPT = ("campaign", "block", "cell", "measurement_id")

_ALWAYS = (*_ATTEMPT, "install_id", "role", "status", "attempt", "gates", "rejected_attempts")
"""What a measurement must state even when nothing could be measured."""


def write_rows(store: Store, table: str, rows: Sequence[Row], **parts: str) -> bool:
    """Create one object of ``table``.

    Args:
        store: Where to.
        table: One of ``tables.TABLES``.
        rows: Each with every column of the table, and no other.
        parts: The identities that make the key, see ``keys``.

    Returns:
        False when the key exists already; nothing is changed then.

    Raises:
        CnibenchError: rows or identities do not fit the table.
    """
    return store.create(keys.key(table, **parts), encode(table, rows))


def read_rows(store: Store, table: str, **parts: str) -> list[dict[str, Any]]:
    """Rows of one object, named as in ``write_rows``; none when it does not exist.

    Raises:
        InputError: the object is damaged.
    """
    object_key = keys.key(table, **parts)
    try:
        rows: list[dict[str, Any]] = decode(table, store.read(object_key)).to_pylist()
    except NoSuchObjectError:
        return []
    except DamagedError as error:
        raise InputError(
            f"store {store.address}: {object_key} {error}; bring it back from a copy, or remove "
            "it to have it made anew"
        ) from error
    return rows


def store_measurement(
    store: Store, row: Row, intervals: Sequence[Row], histogram: Sequence[Row], raw: bytes
) -> bool:
    """Store one attempt at a cell: its parts first, last the row that makes them visible.

    Columns that the row does not state are null: a run that failed has no numbers.

    Returns:
        False when the cell has been measured by somebody else; this attempt is then invisible.
    """
    silent = [name for name in _ALWAYS if name not in row]
    if silent:
        raise CnibenchError(f"table measurements: a row does not state {silent}")
    attempt = {name: str(row[name]) for name in _ATTEMPT}
    cell = {name: attempt[name] for name in ("campaign", "block", "cell")}
    full = {column.name: None for column in TABLES["measurements"]} | dict(row)
    content = encode("measurements", [full])  # a row of a wrong shape must leave nothing behind
    store.create(keys.key("raw", **attempt), zstandard.ZstdCompressor().compress(raw))
    if intervals:
        write_rows(store, "intervals", intervals, **attempt)
    if histogram:
        write_rows(store, "histograms", histogram, **attempt)
    return store.create(keys.key("measurements", **cell), content)


def read_measurement(store: Store, campaign: str, block: str, cell: str) -> dict[str, Any] | None:
    """The row of a cell, or None if it has none."""
    rows = read_rows(store, "measurements", campaign=campaign, block=block, cell=cell)
    return rows[0] if rows else None


def measured_cells(store: Store, campaign: str, block: str) -> frozenset[str]:
    """Ids of the block's cells that have a row, whatever its status."""
    prefix = keys.cells_prefix(campaign, block)
    found = (stored.key.removeprefix(prefix) for stored in store.objects(prefix))
    return frozenset(name.removesuffix(".parquet") for name in found if name.endswith(".parquet"))


def dataset(store: Store, table: str) -> "pyarrow.dataset.Dataset":
    """All objects of a table as they lie in the store, for readers of Arrow and of large tables.

    Intervals and histograms of attempts that came second are still in it: keep only rows whose
    ``measurement_id`` a measurement has, as the views of ``database`` do.
    """
    from pyarrow import dataset as arrow  # It loads pandas, which takes a second.

    filesystem, root = store.filesystem()
    paths = [
        f"{root}/{stored.key}"
        for stored in store.objects(keys.prefix(table))
        if stored.key.endswith(".parquet") and stored.size > _FEW_BYTES
    ]
    campaign = pa.schema([pa.field("campaign", pa.string())])
    return arrow.dataset(
        paths,
        schema=schema(table),
        format="parquet",
        filesystem=filesystem,
        partition_base_dir=f"{root}/{table}",
        partitioning=arrow.partitioning(campaign, flavor="hive"),
    )
