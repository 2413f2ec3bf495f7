"""Rows for the tests of the store: the smallest ones that its tables take."""

from collections.abc import Iterable
from typing import Any

from steps.lib.store import Store, store_measurement, write_rows
from steps.lib.tables import TABLES

BLOCK = {"campaign": "demo", "block": "a.base.r1"}

Row = dict[str, Any]


def full(table: str, **values: object) -> Row:
    """A row of ``table`` in which what is not given is null."""
    return {column.name: None for column in TABLES[table]} | values


def measurement(cell: str = "cross-node.tcp", attempt: str = "first", **values: object) -> Row:
    """What ``store_measurement`` is given for a cell that went well."""
    row: Row = {
        **BLOCK,
        "plugin": "a",
        "profile": "base",
        "repeat": 1,
        "cell": cell,
        "role": "cell",
        "path": "cross-node",
        "traffic": "tcp-stream",
        "measurement_id": attempt,
        "install_id": "install-1",
        "status": "ok",
        "attempt": 1,
        "gates": [{"gate": "path", "verdict": "pass", "evidence": "moved all"}],
        "rejected_attempts": [],
        "throughput_bits_per_s": 10e9,
    }
    return row | values


def parts(row: Row, table: str, count: int = 3) -> list[Row]:
    """Intervals or histogram buckets of a measurement."""
    identity = {name: row[name] for name in ("campaign", "block", "cell", "measurement_id")}
    if table == "intervals":
        measures: Iterable[Row] = ({"t_rel_s": float(n), "duration_s": 1.0} for n in range(count))
    else:
        measures = ({"low_us": n, "high_us": n + 1, "transactions": 5} for n in range(count))
    return [full(table, **identity, **m) for m in measures]


def put_measurement(store: Store, row: Row) -> bool:
    """Store a measurement with three intervals and three buckets."""
    return store_measurement(
        store, row, parts(row, "intervals"), parts(row, "histograms"), b"the tool's own words"
    )


def put_campaign(store: Store, name: str = "demo", **values: object) -> bool:
    """Store a row of ``campaigns``."""
    return write_rows(
        store, "campaigns", [full("campaigns", campaign=name, **values)], campaign=name
    )
