"""In what the environments of sides differ, as the question ``environment-differences`` says."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from steps.lib.comparing.sides import Side, installs_of, open_stores
from steps.lib.questions import answer, load_question
from steps.lib.sql import no_rows
from steps.lib.store.consolidated import query_schema
from steps.lib.tables import TABLES

QUESTION = "environment-differences"


@dataclass(frozen=True)
class Attribute:
    """One fact on record of either side; None where a side has none."""

    whose: str
    name: str
    first: str | None
    other: str | None
    is_different: bool


def environments(sides: Sequence[Side]) -> list[list[Attribute]]:
    """All that is on record of each side but the first, beside the first.

    A side may be a part of a campaign, and the sides may be of several stores: the question is
    asked of a database in which each side is a campaign of its own.

    Raises:
        InputError: a store cannot be used.
    """
    databases = open_stores(sides)
    copy = duckdb.connect()
    for name in TABLES:
        copy.execute(f"create table {name} as {no_rows(query_schema(name))}")
    for number, side in enumerate(sides):
        _copy_side(databases[side.store], side, copy, str(number))
    return [_differences(copy, str(number)) for number in range(1, len(sides))]


def _copy_side(
    database: duckdb.DuckDBPyConnection, side: Side, copy: duckdb.DuckDBPyConnection, name: str
) -> None:
    """The rows of a side that the question looks at, as campaign ``name``."""
    chosen, values = installs_of(side)
    for table in ("campaigns", "blocks", "nodes", "measurements"):
        keys = "campaign" if table == "campaigns" else "campaign, install_id"
        rows = database.sql(
            f"select * replace (? as campaign) from {table} semi join ({chosen}) using ({keys})",
            params=[name, *values],
        ).to_arrow_table()
        copy.register("rows", rows)
        copy.execute(f"insert into {table} by name select * from rows")
        copy.unregister("rows")


def _differences(copy: duckdb.DuckDBPyConnection, name: str) -> list[Attribute]:
    found = answer(copy, QUESTION, load_question(QUESTION), {"campaign": name, "against": "0"})
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    return [
        Attribute(r["whose"], r["attribute"], r["value_against"], r["value"], r["is_different"])
        for r in rows
    ]
