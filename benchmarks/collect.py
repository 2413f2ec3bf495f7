"""What collecting ten thousand cells in a bucket costs, and what it saves the next reader.

The bucket is one of SeaweedFS on this machine, the server of the tests. Every step runs in a
process of its own, with nothing in its cache.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Figure, finish, options
from steps.lib.database import open_database
from steps.lib.store import collect, open_store
from tests.seaweedfs import (
    ACCESS_KEY,
    PORTS,
    SECRET_KEY,
    S3Server,
    command,
    free_ports,
    wait_until_ready,
)
from tests.store_rows import measurement, put_campaign, put_measurement

CELLS = 10_000
"""Each is a row, its intervals, its histogram and its raw output: 40,000 objects."""

CAMPAIGN = "demo"


def main() -> None:
    """Fill a bucket, read it, collect it, read it again."""
    arguments = options(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as server:
        os.environ |= server.environment
        address = f"s3://{server.new_bucket()}/results"
        _fill(address)
        single = _in_a_process("read", address, f"{folder}/first")
        collecting = _in_a_process("collect", address, f"{folder}/collector")
        again = _in_a_process("collect", address, f"{folder}/collector")
        collected = _in_a_process("read", address, f"{folder}/second")
    assert single["rows"] == collected["rows"] == [CELLS, 3 * CELLS]
    figures = [
        Figure("first opening, one by one", single["s"], "s", 120.0),
        Figure("collecting", collecting["s"], "s", 120.0),
        Figure("collecting, peak memory", collecting["memory_mb"], "MB", 1000.0),
        Figure("objects that are collected into", collecting["objects"], "objects", 20.0),
        Figure("collecting what is collected", again["s"], "s", 20.0),
        Figure("first opening, collected", collected["s"], "s", 20.0),
        Figure("first opening, collected, peak memory", collected["memory_mb"], "MB", 1000.0),
    ]
    finish(f"{CELLS} cells in a bucket", figures, arguments.json)


@contextmanager
def _server(folder: Path) -> Iterator[S3Server]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command(folder, ports), stdout=log, stderr=log, cwd=folder, env=os.environ | keys
        )
    try:
        server = S3Server(f"127.0.0.1:{ports['s3.port']}")
        wait_until_ready(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _fill(address: str) -> None:
    store = open_store(address)
    put_campaign(store, CAMPAIGN)
    with ThreadPoolExecutor(8) as pool:
        rows = (measurement(f"cell-{number:05}") for number in range(CELLS))
        assert all(pool.map(lambda row: put_measurement(store, row), rows))


def _in_a_process(what: str, address: str, cache: str) -> dict[str, float]:
    """Run one step with a cache of its own, and return its figures."""
    words = [sys.executable, "-m", "benchmarks.collect", what, address]
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    found = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(found.stdout)
    return figures


def _step(what: str, address: str) -> None:
    store = open_store(address, create=False)
    started = time.perf_counter()
    found: dict[str, object] = {}
    if what == "collect":
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
    _step(*sys.argv[1:]) if sys.argv[1:2] in (["read"], ["collect"]) else main()
