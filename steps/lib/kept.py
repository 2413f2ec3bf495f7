"""Views that are reckoned once for each campaign and kept beside the copies of its rows.

What they come to is a fraction of the runs that they are made of, and a campaign that is over does
not change: so a question over a hundred campaigns need not read a million runs. The name of a file
is a digest of the copies and of the SQL that it was made of, hence never stale, and each may be
deleted.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb

from steps.lib.errors import InputError
from steps.lib.sql import no_rows, quoted, shared
from steps.lib.store import Consolidated, Store
from steps.lib.store.collected import OBJECT
from steps.lib.store.consolidated import KEEP_SUPERSEDED_S, query_schema, write_whole
from steps.lib.store.directory import remove_if_older
from steps.lib.tables import TABLES

KEPT = ("gate_findings", "latencies", "measured_candidates")
"""Each has `campaign` among what its rows are grouped by, and reads no other campaign's rows."""


def view_of_table(name: str, files: Sequence[Path]) -> str:
    """A statement that makes the view of a table from its copies."""
    rows = f"select * exclude ({OBJECT}) {_read(files)}" if files else no_rows(query_schema(name))
    return f"create or replace view {name} as {rows}"


def kept_views(store: Store, copies: Mapping[str, Consolidated]) -> list[str]:
    """Statements that make the views from what is kept; what is not is reckoned first.

    Raises:
        InputError: the cache cannot be written.
    """
    of_campaigns: dict[str, dict[str, Path]] = defaultdict(dict)
    for table, found in copies.items():
        for path in found.files:
            of_campaigns[path.parent.name][table] = path
    recipe = shared()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kept = list(pool.map(partial(_keep, store.cache, recipe), of_campaigns.items()))
    return [
        f"create or replace view {view} as select * {_read([paths[view] for paths in kept])}"
        for view in (KEPT if kept else ())
    ]


def _keep(
    cache: Path, recipe: Sequence[str], campaign: tuple[str, Mapping[str, Path]]
) -> dict[str, Path]:
    """Files of the views of one campaign, of which there is the folder and copies by table."""
    folder, tables = campaign
    made_of = [duckdb.__version__, *recipe, *(f"{t} {tables[t].name}" for t in sorted(tables))]
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:32]
    paths = {view: cache / view / folder / f"{name}.parquet" for view in KEPT}
    missing = {view: path for view, path in paths.items() if not path.exists()}
    if missing:
        try:
            _reckon(tables, missing, recipe)
        except (OSError, duckdb.IOException) as error:
            raise InputError(
                f"cache {cache}: cannot be written ({error}); make room, or set XDG_CACHE_HOME to "
                "a directory that can"
            ) from error
    return paths


def _reckon(tables: Mapping[str, Path], paths: Mapping[str, Path], recipe: Sequence[str]) -> None:
    with duckdb.connect(config={"threads": 1}) as database:  # One campaign is one thread's work.
        for table in TABLES:
            files = [tables[table]] if table in tables else []
            database.execute(view_of_table(table, files))
        for statement in recipe:
            database.execute(statement)
        for view, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, partial(_copy, database, view))
            for other in path.parent.iterdir():
                if other != path:
                    remove_if_older(other, KEEP_SUPERSEDED_S)


def _copy(database: duckdb.DuckDBPyConnection, view: str, path: Path) -> None:
    database.execute(f"copy (from {view}) to {quoted(str(path))} (format parquet)")


def _read(files: Sequence[Path]) -> str:
    """From the copies: DuckDB's own reader is ten times as fast as a scan through Arrow.

    The campaign stands in the path too, so that a question about one opens only its files.
    """
    return (
        f"from read_parquet([{', '.join(map(_pattern, files))}], "
        "hive_partitioning = true, hive_types = {'campaign': varchar})"
    )


def _pattern(path: Path) -> str:
    """A path as an SQL string in which no character is a pattern."""
    text = "".join(f"[{c}]" if c in "*?[" else c for c in str(path.absolute()))
    return quoted(text)
