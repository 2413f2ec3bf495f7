"""The tables of a store in DuckDB, ready for SQL."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import duckdb

from steps.lib.errors import InputError
from steps.lib.store import Damaged, Store, consolidate
from steps.lib.store.consolidated import OBJECT, query_schema
from steps.lib.tables import TABLES

LOG = logging.getLogger("cnibench")

VIEWS = Path(__file__).parents[2] / "queries" / "views"
"""Views that several questions share, one per file, named like the file."""

PARTS_OF_MEASUREMENTS = ("intervals", "histograms")
"""Tables in which attempts that came second have left rows; those must not be seen."""

LISTED_DAMAGED_MAX = 10


def open_database(store: Store) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database with one view per table of the store, and the shared views.

    Moments are UTC, without a zone. Objects that cannot be read are left out, logged, and listed
    in the table ``damaged_objects``. Later rows of the store need a new database.

    Raises:
        InputError: the store or the cache cannot be used.
        TransientError: the store does not answer.
    """
    connection = duckdb.connect()
    damaged: list[Damaged] = []
    for table in TABLES:
        damaged += _add_table(connection, store, table)
    _report_damaged(connection, store, damaged)
    add_views(connection)
    return connection


def add_views(connection: duckdb.DuckDBPyConnection, names: Collection[str] | None = None) -> None:
    """Add shared views, all if none is named, to a database that has what they read.

    Those that are there already are let be.
    """
    for path in sorted(VIEWS.glob("*.sql")):
        if names is not None and path.stem not in names:
            continue
        body = path.read_text(encoding="utf-8")
        connection.execute(f"create view if not exists {path.stem} as\n{body}")


def sql(
    database: duckdb.DuckDBPyConnection, statement: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run SQL that a person wrote.

    Returns:
        Names of the columns, and the rows; both empty where the statement has no result.

    Raises:
        InputError: DuckDB refuses it; the message is DuckDB's, which points at the place.
    """
    try:
        result = database.execute(statement)
        return [column[0] for column in result.description or ()], result.fetchall()
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error


def _add_table(
    connection: duckdb.DuckDBPyConnection, store: Store, table: str
) -> Sequence[Damaged]:
    """A view on the copies: DuckDB's own reader is ten times as fast as a scan through Arrow.

    The campaign stands in the path too, so that a question about one opens only its files.
    """
    copies = consolidate(store, table)
    if not copies.files:
        connection.register(table, query_schema(table).empty_table())
        return copies.damaged
    files = ", ".join(_quoted(path) for path in copies.files)
    visible = "semi join measurements using (measurement_id)"
    connection.execute(
        f"create view {table} as select * exclude ({OBJECT}) from read_parquet([{files}], "
        "hive_partitioning = true, hive_types = {'campaign': varchar}) "
        + (visible if table in PARTS_OF_MEASUREMENTS else "")
    )
    return copies.damaged


def _report_damaged(
    connection: duckdb.DuckDBPyConnection, store: Store, damaged: Sequence[Damaged]
) -> None:
    connection.execute("create table damaged_objects (key varchar, reason varchar)")
    for entry in damaged:
        connection.execute("insert into damaged_objects values (?, ?)", [entry.key, entry.reason])
    for entry in damaged[:LISTED_DAMAGED_MAX]:
        LOG.warning("store=%s key=%s left out: %s", store.address, entry.key, entry.reason)
    if damaged:
        LOG.warning(
            "store=%s damaged_objects=%d: bring them back from a copy, or remove them and run the "
            "campaign again to measure these cells anew",
            store.address,
            len(damaged),
        )


def _quoted(path: Path) -> str:
    """A path as an SQL string in which no character is a pattern."""
    text = "".join(f"[{c}]" if c in "*?[" else c for c in str(path.absolute()))
    return "'" + text.replace("'", "''") + "'"
