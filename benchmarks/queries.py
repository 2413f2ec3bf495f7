"""How long every question takes over a million measurements and sixty million intervals.

Each is asked about all campaigns of the store at once, and about one, as ``cnibench ask`` does. The
store is made once and kept in ``--folder``.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.queries_store import CAMPAIGNS, CELLS_OF_CAMPAIGN, INTERVALS_OF_CELL, paths
from benchmarks.report import Figure, finish, options
from steps.lib.database import open_database
from steps.lib.questions import load_questions, prepare, statement_of
from steps.lib.store import Store, open_store

REPEATS = 3
AIM_S = 1.0
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
        for scope, campaign in (("all campaigns", None), ("one campaign", "campaign-050")):
            prepare(database, question, {"campaign": campaign})
            figures.append(_timed(database, f"{name}, {scope}", statement_of(name)))
    figures.append(_timed(database, "all intervals counted", INTERVALS))
    return figures


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
