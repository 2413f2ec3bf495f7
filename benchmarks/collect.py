"""What collecting ten thousand cells costs, and what it saves the next reader.

The store is a bucket of SeaweedFS on this machine, the server of the tests, with ``--minio`` one of
MinIO, or with ``--directory`` none. Every step runs in a process of its own, with nothing in its
cache. With twice as many cells memory should be about the same: ``--cells 10000 20000``.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, finish, options
from steps.lib.database import open_database
from steps.lib.store import Store, collect, open_store
from tests.minio import minio_server
from tests.seaweedfs import seaweedfs_server
from tests.store_rows import measurement, put_campaign, put_measurement

CELLS = 10_000
"""Each is a row, its intervals, its histogram and its raw output: 40,000 objects."""

CAMPAIGN = "demo"
FIRST = "cell-00000"


def main() -> None:
    """For each number of cells: fill a bucket, read it, collect it, read it again."""
    parser = options(__doc__ or "")
    parser.add_argument("--cells", type=int, nargs="+", default=[CELLS], help="cells of a campaign")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--minio", action="store_true", help="in MinIO, which the lab compiles")
    where.add_argument("--directory", action="store_true", help="in no bucket but a directory")
    arguments = parser.parse_args()
    kind = "MinIO" if arguments.minio else "a directory" if arguments.directory else "SeaweedFS"
    for cells in arguments.cells:
        with tempfile.TemporaryDirectory() as folder, _store(kind, folder) as address:
            figures = _measured(address, cells, folder)
        finish(f"{cells} cells in {kind}", figures, arguments.json)


@contextmanager
def _store(kind: str, folder: str) -> Iterator[str]:
    """Address of an empty store."""
    if kind == "a directory":
        yield f"{folder}/results"
        return
    make_server = minio_server if kind == "MinIO" else seaweedfs_server
    with make_server(Path(folder)) as server:
        os.environ |= server.environment
        yield f"s3://{server.new_bucket()}/results"


def _measured(address: str, cells: int, folder: str) -> list[Figure]:
    _in_a_process("fill", address, folder, str(cells))
    single = _in_a_process("read", address, f"{folder}/first")
    collecting = _in_a_process("collect", address, f"{folder}/collector")
    again = _in_a_process("collect", address, f"{folder}/collector")
    collected = _in_a_process("read", address, f"{folder}/second")
    assert single["rows"] == collected["rows"] == [cells, 3 * cells]
    assert again["objects"] == collecting["objects"]
    return [
        Figure("first opening, one by one", single["s"], "s", 120.0),
        Figure("first opening, one by one, peak memory", single["memory_mb"], "MB", 500.0),
        Figure("collecting", collecting["s"], "s", 120.0),
        Figure("collecting, peak memory", collecting["memory_mb"], "MB", 500.0),
        Figure("objects that are collected into", collecting["objects"], "objects", 20.0),
        Figure("collecting what is collected", again["s"], "s", 20.0),
        Figure("collecting what is collected, peak memory", again["memory_mb"], "MB", 500.0),
        Figure("first opening, collected", collected["s"], "s", 20.0),
        Figure("first opening, collected, peak memory", collected["memory_mb"], "MB", 500.0),
    ]


def _fill(store: Store, cells: int) -> None:
    """A campaign whose cells are copies of one under other names."""
    put_campaign(store, CAMPAIGN)
    put_measurement(store, measurement(FIRST))
    prefixes = ("measurements/", "intervals/", "histograms/", "raw/")
    objects = {o.key: store.read(o.key) for p in prefixes for o in store.objects(p)}
    with ThreadPoolExecutor(8) as pool:
        wanted = (
            (key.replace(FIRST, f"cell-{number:05}"), data)
            for number in range(1, cells)
            for key, data in objects.items()
        )
        assert all(pool.map(lambda of: store.create(*of), wanted))


def _in_a_process(what: str, address: str, cache: str, *more: str) -> dict[str, Any]:
    """Run one step with a cache of its own, and return its figures.

    A process begins with the peak memory of the one that starts it, so that does nothing itself.
    """
    words = [sys.executable, "-m", "benchmarks.collect", what, address, *more]
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    found = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
    figures: dict[str, Any] = json.loads(found.stdout)
    return figures


def _step(what: str, address: str, cells: str = "") -> None:
    store = open_store(address, create=what == "fill")
    shutil.rmtree(store.cache, ignore_errors=True)  # A directory holds its own.
    started = time.perf_counter()
    found: dict[str, object] = {}
    if what == "fill":
        _fill(store, int(cells))
    elif what == "collect":
        collect(store, CAMPAIGN)
    else:
        database = open_database(store)
        found["rows"] = [
            database.execute(f"select count(*) from {table}").fetchall()[0][0]
            for table in ("measurements", "intervals")
        ]
    found |= {
        "s": time.perf_counter() - started,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "objects": len(store.objects("collected/")),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _step(*sys.argv[1:]) if sys.argv[1:2] in (["fill"], ["read"], ["collect"]) else main()
