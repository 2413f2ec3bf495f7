"""A store with all rows of a made-up campaign, written as a run writes them."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from steps.lib.questions import Question
from steps.lib.store import Store, keys, write_rows
from steps.lib.store.parquet import encode
from steps.lib.tables import schema
from tests.report_rows import Rows
from tests.store_rows import Row, full, measurement, put_measurement

PARTS = ("campaign", "block", "install_id")
CELL = ("block", "cell")
IN_A_KEY = {
    "blocks": PARTS[1:],
    "nodes": PARTS[1:],
    "measurements": CELL,
    "intervals": (*CELL, "measurement_id"),
    "histograms": (*CELL, "measurement_id"),
}
"""What keys of a table name beside the campaign."""


def fill(store: Store, rows: Rows) -> None:
    """Write everything; measurements with intervals and histograms."""
    (campaign,) = rows["campaigns"]
    name = campaign["campaign"]
    write_rows(store, "campaigns", [full("campaigns", **campaign)], campaign=name)
    write_rows(store, "planned", [full("planned", **r) for r in rows["planned"]], campaign=name)
    for row in rows["blocks"]:
        write_rows(store, "blocks", [full("blocks", **row)], **{p: row[p] for p in PARTS})
    for install in {row["install_id"] for row in rows["nodes"]}:
        of = [full("nodes", **row) for row in rows["nodes"] if row["install_id"] == install]
        write_rows(store, "nodes", of, **{p: of[0][p] for p in PARTS})
    for row in rows["measurements"]:
        put_measurement(store, measurement() | {"throughput_bits_per_s": None} | row)


def put_given(store: Store, campaign: str, question: Question) -> None:
    """A campaign of the rows that a question's first test is given."""
    of_the_test: dict[str, Any] = {"campaigns": ({},)} | question.unit_tests[0].given
    for table, given in of_the_test.items():
        objects = defaultdict(list)
        for stated in given:
            row = full(table, **question.defaults.get(table, {}) | stated | {"campaign": campaign})
            names = dict.fromkeys(IN_A_KEY.get(table, ()), "given")
            if names:  # DuckDB alone takes a block's name from the key.
                row["block"] = names["block"] = row["block"] or "given"
            objects[keys.key(table, campaign=campaign, **names)].append(_dated(table, row))
        for key, rows in objects.items():
            store.create(key, encode(table, rows))


def _dated(table: str, row: Row) -> Row:
    """Moments, which a question's file has as texts."""
    moments = [f.name for f in schema(table) if pa.types.is_timestamp(f.type) and row[f.name]]
    return row | {m: datetime.fromisoformat(row[m]).replace(tzinfo=UTC) for m in moments}
