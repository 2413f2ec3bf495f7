"""The tables of a store in DuckDB, ready for SQL."""

import logging
from collections.abc import Sequence
from typing import Any

import duckdb

from steps.lib.errors import InputError
from steps.lib.kept import kept_views, view_of_table
from steps.lib.sql import questions, quoted, shared
from steps.lib.store import Damaged, Store, consolidate

LOG = logging.getLogger("cnibench")

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
    statements, damaged = setup(store)
    for statement in statements:
        connection.execute(statement)
    if damaged:
        _report_damaged(store, damaged)
    return connection


def setup(store: Store) -> tuple[list[str], list[Damaged]]:
    """Statements that make the database, and what could not be read.

    Raises:
        InputError: the store or the cache cannot be used.
        TransientError: the store does not answer.
    """
    copies = consolidate(store)
    views = [view_of_table(name, found.files) for name, found in copies.items()]
    views += kept_views(store, copies)
    damaged = [entry for found in copies.values() for entry in found.damaged]
    return [*views, _damaged_table(damaged), *shared(), *questions()], damaged


def add_shared(connection: duckdb.DuckDBPyConnection) -> None:
    """Add shared macros and views to a database that has the tables, where they are absent."""
    for statement in shared():
        connection.execute(statement)


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


def relation_of(database: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    """The rows of SQL that a person wrote, with their types.

    Raises:
        InputError: DuckDB refuses it, or it has no rows.
    """
    try:
        relation = database.sql(statement)
    except duckdb.Error as error:
        raise InputError(f"SQL: {error}") from error
    if relation is None:
        raise InputError("SQL: the statement has no result; write a select")
    return relation


def _damaged_table(damaged: Sequence[Damaged]) -> str:
    rows = "".join(
        f" union all select {quoted(entry.key)}, {quoted(entry.reason)}" for entry in damaged
    )
    empty = "select null::varchar as key, null::varchar as reason where false"
    return f"create table damaged_objects as {empty}{rows}"


def _report_damaged(store: Store, damaged: Sequence[Damaged]) -> None:
    for entry in damaged[:LISTED_DAMAGED_MAX]:
        LOG.warning("store=%s key=%s left out: %s", store.address, entry.key, entry.reason)
    LOG.warning(
        "store=%s damaged_objects=%d: bring them back from a copy, or remove them and run the "
        "campaign again to measure these cells anew",
        store.address,
        len(damaged),
    )
