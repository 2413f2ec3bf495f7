"""Many small objects as few local files, so that a question reads a campaign at once.

A cell is one object of one row and some eighty columns. A question that opens it reads for about a
millisecond, and a campaign has thousands. So the rows of a campaign are copied once into one file
of the store's cache, checked on the way; what was read before is taken from the file before, and
what somebody collected from the store's collected objects. The name of the file is a digest of the
objects in it, hence never stale, and each may be deleted.
"""

import hashlib
import json
import logging
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steps.lib.errors import InputError
from steps.lib.store import keys
from steps.lib.store.base import Store, StoredObject
from steps.lib.store.collected import (
    BATCH_OBJECTS,
    OBJECT,
    THREADS,
    identity,
    parts,
)
from steps.lib.store.directory import mark_used, remove_if_older
from steps.lib.store.parquet import DamagedError, decode
from steps.lib.tables import PARTS_OF_MEASUREMENTS, TABLES, schema

LOG = logging.getLogger("cnibench")

MANY_OBJECTS = 500
GROUP_BYTES = 64 << 20
"""Of rows in memory: larger groups are read more quickly."""

HIDDEN = ".hidden.json"
KEEP_SUPERSEDED_S = 3600.0
"""Since it was last opened: another process may have its questions open on the copy before."""


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


def consolidate(store: Store) -> dict[str, Consolidated]:
    """Bring the copies of all tables up to date.

    Raises:
        InputError: the cache cannot be written, or the store cannot be read.
        TransientError: the store does not answer.
    """
    done: dict[str, Consolidated] = {}
    for table in sorted(TABLES, key=lambda name: name in PARTS_OF_MEASUREMENTS):
        measured = done["measurements"] if table in PARTS_OF_MEASUREMENTS else None
        done[table] = _consolidate(store, table, measured)
    return done


def _consolidate(store: Store, table: str, measured: Consolidated | None) -> Consolidated:
    campaigns: dict[str, list[StoredObject]] = defaultdict(list)
    for stored in store.objects(keys.prefix(table)):
        campaign = keys.campaign_of(stored.key)
        if campaign and stored.key.endswith(".parquet"):
            campaigns[campaign].append(stored)
    copies = [_Copy(store, table, name, campaigns[name], measured) for name in campaigns]
    return Consolidated(
        tuple(copy.up_to_date() for copy in copies),
        tuple(damage for copy in copies for damage in copy.damaged()),
    )


class _Copy:
    """The copy of one table of one campaign; of parts only those of measurements with a row.

    To leave out here what belongs to attempts that came second makes their tables plain, else each
    question would have to join tens of millions of rows.
    """

    def __init__(
        self,
        store: Store,
        table: str,
        campaign: str,
        objects: Sequence[StoredObject],
        measured: Consolidated | None,
    ) -> None:
        self._store, self._table = store, table
        self._campaign = campaign
        self._objects = {identity(o): o for o in objects}
        self._shape = query_schema(table).append(pa.field(OBJECT, pa.string()))
        self._folder = store.cache / table / f"campaign={campaign}"
        self._is_part = measured is not None
        found = measured.files if measured else ()
        self._measured = [path for path in found if path.parent.name == self._folder.name]
        names = [path.name for path in self._measured]
        content = "\n".join([str(self._shape), *self._objects, *names])
        self._path = self._folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.parquet"
        self._damage = self._path.with_suffix(".damaged.json")
        self._hidden: dict[str, set[str]] = {}

    def up_to_date(self) -> Path:
        """Make the copy if it is not there."""
        if self._path.exists():
            mark_used(self._path)
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
        damaged: list[Damaged] = []
        write_whole(self._path, lambda path: damaged.extend(self._write(path)))
        if damaged:
            text = json.dumps([asdict(entry) for entry in damaged], indent=1)
            write_whole(self._damage, lambda path: path.write_text(text))
        if self._hidden:
            hidden = json.dumps({name: sorted(ids) for name, ids in self._hidden.items()})
            write_whole(self._path.with_suffix(HIDDEN), lambda path: path.write_text(hidden))

    def _write(self, path: Path) -> list[Damaged]:
        """Write the rows a group at a time, so that memory is bounded; return what is damaged."""
        damaged: list[Damaged] = []
        with pq.ParquetWriter(path, self._shape, compression="zstd") as writer:
            measured = self._measurements()
            for group in _groups(self._visible(self._pieces(damaged, measured), measured)):
                writer.write_table(group, row_group_size=group.num_rows)
        return damaged

    def _measurements(self) -> set[str]:
        """Ids of those that have a row in their own copy."""
        key = "measurement_id"
        files = [pq.ParquetFile(path) for path in self._measured]
        return {name for file in files for name in file.read([key]).column(key).to_pylist()}

    def _visible(self, pieces: Iterable[pa.Table], measured: set[str]) -> Iterator[pa.Table]:
        """All rows, of parts those of measurements; which objects have others is remembered."""
        known = pa.array(sorted(measured), pa.string())
        for piece in pieces:
            if not self._is_part:
                yield piece
                continue
            found = pc.is_in(piece.column("measurement_id"), value_set=known)
            others = piece.filter(pc.invert(found)).select([OBJECT, "measurement_id"])
            for row in others.to_pylist():
                self._hidden.setdefault(row[OBJECT], set()).add(row["measurement_id"])
            if len(others) < len(piece):
                yield piece.filter(found)

    def _pieces(self, damaged: list[Damaged], measured: set[str]) -> Iterator[pa.Table]:
        """All rows, each once: of the copy before, of collected objects, of single ones.

        What was hidden is looked at again when its measurement is there.
        """
        hidden = self._hidden_before()
        shown = {name for name, ids in hidden.items() if ids & measured}
        missing = {name: o for name, o in self._objects.items() if name not in shown}
        yield from self._wanted(self._rows_before(), missing)
        for name in (hidden.keys() - shown) & self._objects.keys():
            missing.pop(name, None)
            self._hidden[name] = hidden[name]
        missing |= {name: self._objects[name] for name in shown & self._objects.keys()}
        if len(missing) > 1:
            for part in parts(self._store, self._table, self._campaign):
                yield from self._wanted([part.cast(self._shape)], missing)
        if len(missing) >= MANY_OBJECTS:
            LOG.info("store=%s reading %d new objects once", self._store.address, len(missing))
        names = list(missing)
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(names), BATCH_OBJECTS):
                batch = names[start : start + BATCH_OBJECTS]
                yield from self._with_origin(batch, list(pool.map(self._rows_of, batch)), damaged)

    def _wanted(
        self, source: Iterable[pa.Table], missing: dict[str, StoredObject]
    ) -> Iterator[pa.Table]:
        """Rows of a source whose objects are still missing; they are no more then."""
        taken: set[str] = set()  # Rows of one object may lie in two tables of a source.
        for rows in source:
            origin = rows.column(OBJECT)
            names = [n for n in origin.unique().to_pylist() if n in missing or n in taken]
            taken.update(names)
            for name in names:
                missing.pop(name, None)
            if names:
                yield rows.filter(pc.is_in(origin, value_set=pa.array(names, pa.string())))

    def _rows_of(self, name: str) -> pa.Table | Damaged:
        stored = self._objects[name]
        try:
            return decode(self._table, self._store.read(stored.key))
        except DamagedError as error:
            return Damaged(stored.key, str(error))

    def _with_origin(
        self, names: Sequence[str], results: Sequence[pa.Table | Damaged], damaged: list[Damaged]
    ) -> Iterator[pa.Table]:
        """What was read as one table, each row with its object; the rest goes to ``damaged``."""
        damaged.extend(r for r in results if isinstance(r, Damaged))
        whole = [(n, r) for n, r in zip(names, results, strict=True) if isinstance(r, pa.Table)]
        if whole:
            rows = pa.concat_tables([r for _, r in whole]).combine_chunks()
            origin = pa.array([n for n, r in whole for _ in range(r.num_rows)], pa.string())
            yield rows.append_column(OBJECT, origin).cast(self._shape)

    def _rows_before(self) -> Iterator[pa.Table]:
        """Rows of the newest copy that can be read, one group of rows after the other."""
        for path in sorted(self._folder.glob("[!.]*.parquet"), key=_written_at, reverse=True):
            begun = False
            try:
                with pq.ParquetFile(path) as file:
                    if not file.schema_arrow.equals(self._shape):
                        continue
                    for group in range(file.num_row_groups):
                        rows = file.read_row_group(group)
                        begun = True
                        yield rows
            except (pa.ArrowException, OSError):
                if not begun:
                    continue
            return  # What cannot be read of it is read from the store.

    def _hidden_before(self) -> dict[str, set[str]]:
        """Objects with rows that copies before this one left out, and whose those are."""
        found: dict[str, set[str]] = {}
        for path in self._folder.glob(f"[!.]*{HIDDEN}"):
            for name, ids in json.loads(path.read_text()).items():
                found.setdefault(name, set()).update(ids)
        return found

    def _forget_superseded(self) -> None:
        for path in self._folder.iterdir():
            if not path.name.startswith(self._path.stem):
                remove_if_older(path, KEEP_SUPERSEDED_S)


def _groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Pieces put together to groups of rows that DuckDB reads quickly."""
    waiting: list[pa.Table] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += piece.nbytes
        if size >= GROUP_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _written_at(path: Path) -> float:
    """Zero for a file that another process has just removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; a power cut must not leave half of it under its name."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
