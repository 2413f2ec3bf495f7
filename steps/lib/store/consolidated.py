"""Many small objects as few local files, so that a question reads a campaign at once.

A cell is one object of one row and some eighty columns. A question that opens it reads for about a
millisecond, and a campaign has thousands. So the rows of a campaign are copied once into one file
of the store's cache, checked on the way; what was read before is taken from the file before. The
name of the file is a digest of the objects in it, hence never stale, and each may be deleted.
"""

import hashlib
import json
import logging
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steps.lib.errors import InputError
from steps.lib.store import keys
from steps.lib.store.base import Store, StoredObject
from steps.lib.store.directory import remove_if_older
from steps.lib.store.parquet import DamagedError, decode
from steps.lib.tables import schema

LOG = logging.getLogger("cnibench")

OBJECT = "_object"
"""Column of the copies: which object, in which version, a row is from."""

THREADS = 8
MANY_OBJECTS = 500
KEEP_SUPERSEDED_S = 3600.0
"""Another process may have its questions open on the copy before."""


@dataclass(frozen=True)
class Damaged:
    """An object that cannot be read, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Consolidated:
    """A table as local files, one for each campaign, and what is not in them."""

    files: tuple[Path, ...]
    damaged: tuple[Damaged, ...]


def query_schema(table: str) -> pa.Schema:
    """Columns of ``table`` in SQL: moments are UTC without a zone, so no session can shift them."""
    return pa.schema(
        [
            f.with_type(pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f
            for f in schema(table)
        ]
    )


def consolidate(store: Store, table: str) -> Consolidated:
    """Bring the copies of a table up to date.

    Raises:
        InputError: the cache cannot be written, or the store cannot be read.
        TransientError: the store does not answer.
    """
    campaigns: dict[str, list[StoredObject]] = defaultdict(list)
    for stored in store.objects(keys.prefix(table)):
        campaign = keys.campaign_of(stored.key)
        if campaign and stored.key.endswith(".parquet"):
            campaigns[campaign].append(stored)
    copies = [_Copy(store, table, name, objects) for name, objects in campaigns.items()]
    return Consolidated(
        tuple(copy.up_to_date() for copy in copies),
        tuple(damage for copy in copies for damage in copy.damaged()),
    )


class _Copy:
    """The copy of one table of one campaign."""

    def __init__(
        self, store: Store, table: str, campaign: str, objects: Sequence[StoredObject]
    ) -> None:
        self._store, self._table = store, table
        self._objects = {f"{o.key}@{o.version}/{o.size}": o for o in objects}
        self._shape = query_schema(table).append(pa.field(OBJECT, pa.string()))
        content = "\n".join([str(self._shape), *self._objects])
        self._folder = store.cache / table / f"campaign={campaign}"
        self._path = self._folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.parquet"
        self._damage = self._path.with_suffix(".damaged.json")

    def up_to_date(self) -> Path:
        """Make the copy if it is not there."""
        if self._path.exists():
            return self._path
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._build()
            self._forget_superseded()
        except OSError as error:
            raise InputError(
                f"cache {self._folder}: cannot be written ({error.strerror}); make room, or set "
                "XDG_CACHE_HOME to a directory that can"
            ) from error
        return self._path

    def damaged(self) -> list[Damaged]:
        """What could not be read when the copy was made."""
        if not self._damage.exists():
            return []
        return [Damaged(**entry) for entry in json.loads(self._damage.read_text())]

    def _build(self) -> None:
        before = self._rows_before()
        known = set(before.column(OBJECT).unique().to_pylist())
        new = [name for name in self._objects if name not in known]
        if len(new) >= MANY_OBJECTS:
            LOG.info("store=%s reading %d new objects once", self._store.address, len(new))
        with ThreadPoolExecutor(THREADS) as pool:
            results = list(pool.map(self._rows_of, new))
        damaged = [r for r in results if isinstance(r, Damaged)]
        rows = pa.concat_tables([before, *self._with_origin(new, results)])
        if damaged:
            text = json.dumps([asdict(entry) for entry in damaged], indent=1)
            _replace(self._damage, lambda path: path.write_text(text))
        _replace(
            self._path, lambda path: pq.write_table(rows.combine_chunks(), path, compression="zstd")
        )

    def _rows_of(self, name: str) -> pa.Table | Damaged:
        stored = self._objects[name]
        try:
            return decode(self._table, self._store.read(stored.key))
        except DamagedError as error:
            return Damaged(stored.key, str(error))

    def _with_origin(
        self, names: Sequence[str], results: Sequence[pa.Table | Damaged]
    ) -> list[pa.Table]:
        """What was read as one table, each row with its object."""
        whole = [(n, r) for n, r in zip(names, results, strict=True) if isinstance(r, pa.Table)]
        if not whole:
            return []
        rows = pa.concat_tables([r for _, r in whole])
        origin = pa.array([n for n, r in whole for _ in range(r.num_rows)], pa.string())
        return [rows.append_column(OBJECT, origin).cast(self._shape)]

    def _rows_before(self) -> pa.Table:
        """Rows of the newest copy that are still in the store."""
        for path in sorted(self._folder.glob("[!.]*.parquet"), key=_written_at, reverse=True):
            try:
                rows = pq.read_table(path, partitioning=None)
            except (pa.ArrowException, OSError):
                continue
            if rows.schema.equals(self._shape):
                wanted = pa.array(list(self._objects), pa.string())
                return rows.filter(pc.is_in(rows.column(OBJECT), value_set=wanted))
        return self._shape.empty_table()

    def _forget_superseded(self) -> None:
        for path in self._folder.iterdir():
            if not path.name.startswith(self._path.stem):
                remove_if_older(path, KEEP_SUPERSEDED_S)


def _written_at(path: Path) -> float:
    """Zero for a file that another process has just removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; a power cut must not leave half of it under its name."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
