"""A campaign's many small objects as few large ones, in the store itself, for all its readers.

    collected/<table>/campaign=<c>/<digest of what is in it>.parquet

Collecting adds and never changes or removes: the small objects stay what is true, and say by their
listing what exists. A collected object says for each row which object, in which version, it is
from. So a reader takes from it what is listed still and reads the rest singly; nothing is seen
twice, and nothing that was removed or replaced is seen at all. A part is one create-only write,
hence a collector that is killed has lost nothing, and the next one goes on behind what is there.
"""

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from steps.lib.store import keys
from steps.lib.store.base import Store, StoredObject
from steps.lib.store.parquet import DamagedError, bare_schema, decode
from steps.lib.tables import TABLES

LOG = logging.getLogger("cnibench")

OBJECT = "_object"
"""Column that says which object, in which version, a row is from."""

THREADS = 8
BATCH_OBJECTS = 256
PART_BYTES = 16 << 20
"""Of rows in memory, which writing them takes twice; compressed a part is a MB or so."""


@dataclass(frozen=True)
class Collected:
    """What became of a table's objects: in parts from before, put into new ones, left alone."""

    table: str
    before: int
    new: int
    parts: int
    left: int


def identity(stored: StoredObject) -> str:
    """An object in one version: a replaced one has another identity."""
    return f"{stored.key}@{stored.version}/{stored.size}"


def collect(store: Store, campaign: str) -> list[Collected]:
    """Collect what is not collected yet; twice the same store gives the same bytes.

    Objects that cannot be read, or have columns that this cnibench does not know, are left alone.

    Raises:
        InputError: the store cannot be used.
        TransientError: the store does not answer; what is written stays.
    """
    return [_collect(store, campaign, table) for table in TABLES]


def parts(store: Store, table: str, campaign: str) -> Iterator[pa.Table]:
    """Rows of each collected object, with the columns of ``table`` and ``OBJECT``."""
    for stored in store.objects(_prefix(table, campaign)):
        try:
            yield decode(table, store.read(stored.key), pa.field(OBJECT, pa.string()))
        except DamagedError as error:
            LOG.warning("store=%s key=%s not used: %s", store.address, stored.key, error)


def _prefix(table: str, campaign: str) -> str:
    return f"collected/{keys.prefix(table, campaign)}"


def _collect(store: Store, campaign: str, table: str) -> Collected:
    objects = [o for o in store.objects(keys.prefix(table, campaign)) if o.key.endswith(".parquet")]
    known = {
        name for part in parts(store, table, campaign) for name in part.column(OBJECT).to_pylist()
    }
    waiting = [o for o in objects if identity(o) not in known]
    if len(waiting) < 2:  # one object is as quickly read where it is
        return Collected(table, len(objects) - len(waiting), 0, 0, len(waiting))
    written = taken = size = 0
    rows: list[pa.Table] = []
    for found in _readable(store, table, waiting):
        rows.append(found)
        taken, size = taken + 1, size + found.nbytes
        if len(rows) == BATCH_OBJECTS:  # a table of one row is mostly its columns' own overhead
            rows = [pa.concat_tables(rows).combine_chunks()]
        if size >= PART_BYTES:
            written += _write(store, table, campaign, rows)
            rows, size = [], 0
    written += _write(store, table, campaign, rows)
    before = len(objects) - len(waiting)
    return Collected(table, before, taken, written, len(waiting) - taken)


def _readable(store: Store, table: str, objects: Sequence[StoredObject]) -> Iterator[pa.Table]:
    """Rows of each object with its identity, in order; few objects at a time are in memory."""

    def read(stored: StoredObject) -> pa.Table | None:
        try:
            rows = decode(table, store.read(stored.key), drop=False)
        except DamagedError:
            return None
        return rows.append_column(
            pa.field(OBJECT, pa.string()), pa.array([identity(stored)] * rows.num_rows)
        )

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(objects), BATCH_OBJECTS):
            batch = objects[start : start + BATCH_OBJECTS]
            yield from (rows for rows in pool.map(read, batch) if rows is not None)


def _write(store: Store, table: str, campaign: str, rows: Sequence[pa.Table]) -> int:
    """Write a part; nothing where there are no rows."""
    if not rows:
        return 0
    part = pa.concat_tables(rows).combine_chunks()
    names = "\n".join(part.column(OBJECT).unique().to_pylist())
    sink = io.BytesIO()
    pq.write_table(part, sink, compression="zstd", write_page_checksum=True, store_schema=False)
    digest = hashlib.sha256(f"{bare_schema(table)}\n{names}".encode()).hexdigest()[:32]
    store.create(f"{_prefix(table, campaign)}{digest}.parquet", sink.getvalue())
    return 1
