"""How long every question takes over a million measurements and sixty million intervals.

Each is asked about all campaigns of the store at once, and about one, as ``cnibench ask`` does.
Beside the former stands how long DuckDB takes to read the same columns alone, of the same files:
what is kept for each campaign is made by the first opening. The store is made once and kept in
``--folder``.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from benchmarks.queries_store import CAMPAIGNS, CELLS_OF_CAMPAIGN, INTERVALS_OF_CELL, paths
from benchmarks.report import Figure, finish, options
from steps.lib.database import open_database
from steps.lib.kept import KEPT
from steps.lib.questions import load_questions, prepare, statement_of
from steps.lib.store import Store, open_store
from steps.lib.tables import TABLES

REPEATS = 3
AIM_S = 1.0
AIM_TIMES = 10.0
INTERVALS = "select count(*), max(bits_per_s) from intervals"


def main() -> None:
    """Make the store, open it twice, ask."""
    parser = options(__doc__ or "")
    kept = Path(tempfile.gettempdir()) / "cnibench-benchmark"
    parser.add_argument("--folder", type=Path, default=kept, help="where the store is kept")
    arguments = parser.parse_args()
    # In a process of its own, so that its memory is not taken for that of the questions.
    making = [sys.executable, "-m", "benchmarks.queries_store", str(arguments.folder)]
    subprocess.run(making, check=True)
    store = open_store(str(paths(arguments.folder)[0]), create=False)
    shutil.rmtree(store.cache, ignore_errors=True)
    figures = [
        _opened(store, "first opening, which reads every row", 60.0),
        _opened(store, "opening", AIM_S),
        *_asked(open_database(store)),
    ]
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(Figure("peak memory of the process", memory_mb, "MB", 2000.0))
    cells = CAMPAIGNS * CELLS_OF_CAMPAIGN
    finish(f"{cells} measurements, {cells * INTERVALS_OF_CELL} intervals", figures, arguments.json)


def _opened(store: Store, name: str, aim_s: float) -> Figure:
    started = time.perf_counter()
    open_database(store).close()
    return Figure(name, time.perf_counter() - started, "s", aim_s)


def _asked(database: duckdb.DuckDBPyConnection) -> list[Figure]:
    figures = []
    for name, question in load_questions().items():
        for scope, campaign in (("one campaign", "campaign-050"), ("all campaigns", None)):
            prepare(database, question, {"campaign": campaign})
            figures.append(_timed(database, f"{name}, {scope}", statement_of(name)))
        bare_s = _bare_scan_s(database, statement_of(name))
        figures.append(Figure(f"{name}, bare scan", bare_s, "s", AIM_S))
        times = figures[-2].value / bare_s
        figures.append(Figure(f"{name}, all campaigns / bare scan", times, "times", AIM_TIMES))
    figures.append(_timed(database, "all intervals counted", INTERVALS))
    return figures


def _bare_scan_s(database: duckdb.DuckDBPyConnection, statement: str) -> float:
    """Reading what the plan of a statement reads, each scan once, and doing nothing with it."""
    plan = database.execute(f"explain (format json) {statement}").fetchall()[0][1]
    files = {name: frozenset(database.table(name).columns) for name in (*TABLES, *KEPT)}
    known = frozenset[str]().union(*files.values())
    nodes = [node for node in _nodes(json.loads(plan)) if "PARQUET" in node["name"]]
    scans = {_columns(node, known) for node in nodes}
    wanted = [(columns, _table_of(columns, files)) for columns in scans if columns]
    selects = [
        f"select {', '.join(f'first({c})' for c in sorted(columns))} from {table}"
        for columns, table in wanted
    ]
    return sum(_timed(database, "", select).value for select in selects)


def _nodes(tree: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in tree:
        yield node
        yield from _nodes(node["children"])


def _columns(scan: dict[str, Any], known: frozenset[str]) -> frozenset[str]:
    """What a scan reads: the plan has one name or a list, and filters as text."""
    found = scan["extra_info"].get("Projections") or []
    named = {found} if isinstance(found, str) else set(found)
    filters = re.sub("'[^']*'", "", str(scan["extra_info"].get("Filters")))
    words = set(re.findall(r"\w+", filters))
    return frozenset((named | words) & known)


def _table_of(columns: frozenset[str], files: Mapping[str, frozenset[str]]) -> str:
    """The first table, or kept view, that has them; the plan does not name it."""
    return next(name for name, has in files.items() if columns <= has)


def _timed(database: duckdb.DuckDBPyConnection, name: str, statement: str) -> Figure:
    """Median wall time; the rows are fetched as Arrow, since making Python objects is no query."""
    elapsed = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        database.sql(statement).to_arrow_table()
        elapsed.append(time.perf_counter() - started)
    return Figure(name, median(elapsed), "s", AIM_S)


if __name__ == "__main__":
    main()
