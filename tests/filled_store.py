"""A store with all rows of a made-up campaign, written as a run writes them."""

from steps.lib.store import Store, write_rows
from tests.report_rows import Rows
from tests.store_rows import full, measurement, put_measurement

PARTS = ("campaign", "block", "install_id")


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
