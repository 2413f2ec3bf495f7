"""Views that are reckoned once for each campaign and kept beside the copies of its rows.

What they come to is a fraction of the runs that they are made of, and a campaign that is over does
not change: so a question over a hundred campaigns need not read a million runs. The name of a file
is a digest of the copies and of the SQL that it was made of, hence never stale, and each may be
deleted.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb

from steps.lib.sql import no_rows, quoted, shared
from steps.lib.store import Consolidated, Store
from steps.lib.store.collected import OBJECT
from steps.lib.store.consolidated import KEEP_SUPERSEDED_S, query_schema, write_whole
from steps.lib.store.directory import mark_used, remove_if_older
from steps.lib.tables import TABLES

LOG = logging.getLogger("cnibench")

KEPT = ("gate_findings", "latencies", "measured_candidates")
"""Each has `campaign` among what its rows are grouped by, and reads no other campaign's rows."""

WORKERS = 2
ONE_CAMPAIGN: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "384MB",
}
"""Together less than the pod has that writes a report (``steps/write_report.py``)."""


def view_of_table(name: str, files: Sequence[Path]) -> str:
    """A statement that makes the view of a table from its copies."""
    rows = f"select * exclude ({OBJECT}) {_read(files)}" if files else no_rows(query_schema(name))
    return f"create or replace view {name} as {rows}"


def kept_views(store: Store, copies: Mapping[str, Consolidated]) -> list[str]:
    """Statements that make the views from what is kept; what is not is reckoned first.

    Where nothing can be kept, on a full disk for one, there are none: the views are as their SQL
    says then, and questions take longer.
    """
    of_campaigns: dict[str, dict[str, Path]] = defaultdict(dict)
    for table, found in copies.items():
        for path in found.files:
            of_campaigns[path.parent.name][table] = path
    keep = partial(_keep, store, shared())
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            kept = list(pool.map(keep, of_campaigns.items()))
    except (OSError, duckdb.Error) as error:
        LOG.warning("store=%s questions take longer, nothing is kept: %s", store.address, error)
        return []
    return [
        f"create or replace view {view} as select * {_read([paths[view] for paths in kept])}"
        for view in (KEPT if kept else ())
    ]


def _keep(
    store: Store, recipe: Sequence[str], campaign: tuple[str, Mapping[str, Path]]
) -> dict[str, Path]:
    """Files of the views of one campaign, of which there is the folder and copies by table."""
    folder, tables = campaign
    sources = [f"{table} {tables[table].name}" for table in sorted(tables)]
    shapes = [no_rows(query_schema(table)) for table in TABLES if table not in tables]
    made_of = "\n".join([duckdb.__version__, *recipe, *sources, *shapes])
    name = hashlib.sha256(made_of.encode()).hexdigest()[:32]
    paths = {view: store.cache / view / folder / f"{name}.parquet" for view in KEPT}
    missing = {view: path for view, path in paths.items() if not path.exists()}
    for view in paths.keys() - missing.keys():
        mark_used(paths[view])
    if missing:
        LOG.info("store=%s %s is reckoned once", store.address, folder)
        _reckon(tables, missing, recipe)
    return paths


def _reckon(tables: Mapping[str, Path], paths: Mapping[str, Path], recipe: Sequence[str]) -> None:
    with duckdb.connect(config=ONE_CAMPAIGN) as database:
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
