"""A synthetic store of a million measurements, with one object per campaign and table.

``python -m benchmarks.queries_store FOLDER`` makes it; ``benchmarks.queries`` asks it.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb

from steps.lib.sql import sql_type
from steps.lib.store import open_store
from steps.lib.tables import TABLES

CAMPAIGNS = 100
CELLS_OF_CAMPAIGN = 10_000
"""10 plugins x 4 profiles x 5 repeats x 50 cells."""

INTERVALS_OF_CELL = 60

BUCKETS_OF_CELL = 40
"""Of cells of transactions, three in ten."""

_PATHS = "['cross-node', 'same-node', 'pod-service', 'pod-to-node-port', 'host-to-pod'][ce % 5 + 1]"

_CELLS = """(
    select number, {campaign} as c, number // 1000 as pl, (number // 250) % 4 as pr,
        (number // 50) % 5 + 1 as rep, number % 50 as ce, hash({campaign} * 10000 + number) as dice
    from range(10000) as numbers(number)
)"""

_BLOCK = {
    "campaign": "printf('campaign-%03d', c)",
    "block": "printf('plugin-%d.profile-%d.r%d', pl, pr, rep)",
    "plugin": "printf('plugin-%d', pl)",
    "profile": "printf('profile-%d', pr)",
    "repeat": "rep",
}
_INSTALL = {"install_id": "printf('%d-%d-%d-%d', c, pl, pr, rep)"}

_CELL = _BLOCK | {
    "cell": f"printf('%s.traffic-%d', {_PATHS}, ce // 5)",
    "role": "'cell'",
    "path": _PATHS,
    "traffic": "if(ce // 5 < 7, 'tcp-stream', 'tcp-rr')",
    "protocol": "'tcp'",
    "direction": "if(ce // 5 < 7, 'forward', null)",
    "streams": "if(ce // 5 < 7, 1 << (ce // 5), 1)",
    "request_bytes": "if(ce // 5 < 7, null, 1 << (ce // 5))",
    "duration_s_asked": "60",
    "omit_s": "3",
}

_OK = "dice % 50 > 1"
_FAILED = "(pl + pr) % 10 = 7 and rep = 5"

_GATES = """list_transform(
    ['plugin', 'placement', 'mtu', 'tuning', 'document', 'record', 'duration', 'path', 'receiver',
     'steal', 'foreign', 'encryption'],
    lambda g: {
        'gate': g,
        'verdict': if(g = 'path' and dice % 50 = 0, 'fail',
            if(g = 'encryption', 'not_applicable', 'pass')),
        'evidence': concat(g, ': read ', dice % 1000000, ' of ', number)
    }
)"""

_MEASUREMENT = (
    _CELL
    | _INSTALL
    | {
        "measurement_id": "md5(concat(c, '-', number))::uuid::varchar",
        "status": "if(dice % 50 = 0, 'invalid', if(dice % 50 = 1, 'failed', 'ok'))",
        "reason": "if(dice % 50 < 2, 'path: a silent device moved', null)",
        "attempt": "1",
        "rejected_attempts": "if(dice % 10 = 0, [{'attempt': 1, 'steal_percent': 3.5, "
        "'foreign_cpu_percent': 1.0, 'reason': 'steal: 3.5 %'}], [])",
        "gates": _GATES,
        "environment_class": "'single-kernel'",
        "environment_fingerprint": "md5('environment')",
        "plugin_fingerprint": "md5(concat(pl))",
        "profile_digest": "md5(concat(pr))",
        "tool": "'iperf3'",
        "tool_version": "'3.21'",
        "command": "concat('iperf3 --json --client 10.0.0.', number % 250)",
        "started_at": "timestamptz '2026-01-01 00:00:00+00' + to_seconds(number)",
        "duration_s": "60",
        "throughput_bits_per_s": f"if(ce // 5 < 7 and {_OK}, 5e8 * (20 + pl) * {{noise}}, null)",
        "transactions_per_s": f"if(ce // 5 >= 7 and {_OK}, 1e3 * (20 + pl) * {{noise}}, null)",
        "cpu_window_s": "60.01",
        "cpu_busy_s": "100 * {noise}",
        "cpu_idle_baseline_s": "2.4",
        "cycles": "1e11 + number",
        "cycles_source": "'estimate'",
        "packets": "1000000 + number",
        "packets_source": "'Tcp.OutSegs of sender'",
        "cycles_per_packet": "1e5 / (1 + pl) * {noise}",
    }
)
_NOISE = "(0.9 + (dice % 1000) / 5000)"

_DOCUMENT = """json_object('plugins', list_transform(range(10), lambda n: {
    'name': printf('plugin-%d', n),
    'variant': if(n % 2 = 1, {'of': printf('plugin-%d', n - 1), 'adds': 'overlay'}, null),
    'features': {'dataplane': {'claimed': 'routes', 'source': 'here', 'verified': 'seen'}}
}))"""

_BLOCKS = "(select distinct c, pl, pr, rep from {cells}) as blocks"

_TABLES: dict[str, tuple[str, Mapping[str, str]]] = {
    "campaigns": (
        "(select {campaign} as c)",
        {
            "campaign": _BLOCK["campaign"],
            "baseline_plugin": "'plugin-0'",
            "document": _DOCUMENT,
            "environment_class": "'single-kernel'",
            "created_at": "timestamptz '2026-01-01 00:00:00+00' + to_days(c)",
        },
    ),
    "planned": (
        "{cells}",
        _CELL | {"unsupported_reason": "if(pl = 9 and ce % 5 = 4, 'no such path', null)"},
    ),
    "blocks": (
        _BLOCKS,
        _BLOCK
        | _INSTALL
        | {
            "status": f"if({_FAILED}, 'failed', if(rep + pl = 8, 'drifted', 'ok'))",
            "reason": f"if({_FAILED}, 'install-plugin: status 1', null)",
            "environment_fingerprint": "md5('environment')",
            "started_at": "timestamptz '2026-01-01 00:00:00+00' + to_hours(c)",
        },
    ),
    "nodes": (
        "(select distinct c, pl, pr, rep, n from {cells}, range(2) as nodes(n)) as nodes",
        {"campaign": _BLOCK["campaign"], "block": _BLOCK["block"]}
        | _INSTALL
        | {
            "node": "concat('node-', n)",
            "settings": "map {'net.core.rmem_max': '1'}",
            "tuned": "if(pr = 0, [], "
            "[{'name': 'a', 'before': '1', 'intended': '2', 'after': '2'}])",
        },
    ),
    "measurements": ("{cells}", _MEASUREMENT),
    "intervals": (
        f"{{cells}}, range({INTERVALS_OF_CELL}) as seconds(s)",
        {name: _MEASUREMENT[name] for name in ("campaign", "block", "cell", "measurement_id")}
        | {
            "t_rel_s": "s",
            "duration_s": "1",
            "bits_per_s": "1e10 * (0.9 + (hash(dice + s) % 1000) / 5000)",
            "retransmits": "s",
        },
    ),
    "histograms": (
        f"(select * from {{cells}} where ce // 5 >= 7 and {_OK}), "
        f"range({BUCKETS_OF_CELL}) as buckets(b)",
        {name: _MEASUREMENT[name] for name in ("campaign", "block", "cell", "measurement_id")}
        | {
            "low_us": "20 * 1.1 ** b",
            "high_us": "20 * 1.1 ** (b + 1)",
            "transactions": "1 + (dice + b) % (100000 // (b + 1))",
        },
    ),
}


def paths(folder: Path) -> tuple[Path, Path]:
    """The store, and the file that says it is complete; named by what makes it."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return folder / f"store-{recipe}", folder / f"store-{recipe}.json"


def make_store(folder: Path) -> Path:
    """Make the store in ``folder``, or take the one that lies there from an earlier run."""
    store, done = paths(folder)
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        open_store(str(store))
        connection = duckdb.connect()
        for table, (source, columns) in _TABLES.items():
            for campaign in range(CAMPAIGNS):
                _write(connection, store, table, campaign, _select(table, source, columns))
        done.write_text(json.dumps({"campaigns": CAMPAIGNS}))
    return store


def _select(table: str, source: str, columns: Mapping[str, str]) -> str:
    chosen = [
        f"({columns.get(c.name, 'null')})::{sql_type(c.type)} as {c.name}" for c in TABLES[table]
    ]
    return f"select {', '.join(chosen)} from {source}".replace("{noise}", _NOISE)


def _write(
    connection: duckdb.DuckDBPyConnection, store: Path, table: str, campaign: int, select: str
) -> None:
    path = store / table / f"campaign=campaign-{campaign:03d}" / "all.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = _CELLS.replace("{campaign}", str(campaign))
    statement = select.replace("{cells}", cells).replace("{campaign}", str(campaign))
    connection.execute(f"copy ({statement}) to '{path}' (format parquet, compression zstd)")


if __name__ == "__main__":
    make_store(Path(sys.argv[1]))
