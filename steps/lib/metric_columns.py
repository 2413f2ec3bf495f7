"""How each measured column comes to be: data beside this file, and the page made from it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import Field

from steps.lib.columns import Column
from steps.lib.documents import read_yaml, validate
from steps.lib.models.base import Model
from steps.lib.tables import TABLES

FILE = Path(__file__).with_suffix(".yaml")

MEASURED_TABLES = ("measurements", "blocks")

NOT_MEASURED = frozenset({
    "repeat", "streams", "message_bytes", "request_bytes", "response_bytes", "offered_bits_per_s",
    "requests_in_flight",
    "offered_transactions_per_s", "duration_s_asked", "omit_s", "attempt", "pairs", "load_streams",
    "load_offered_bits_per_s", "scale_services", "scale_endpoints", "scale_pods", "policy_rules",
    "loss_percent_max",
})  # fmt: skip
"""Numbers that say what was asked for, or which try it was."""

_HEAD = """# Metrics

Generated from `steps/lib/tables.py` and `steps/lib/metric_columns.yaml` by `make docs`: every
number that is measured, with what it must not be taken for. Questions are made of these.
"""


class Measured(Model):
    """What there is to say of one column beyond its definition."""

    name: str
    how: str = Field(min_length=1, description="What is read, where, and when")
    limits: str = Field(min_length=1, description="What it does not say")
    source: str = Field(min_length=1, description="Where the way to measure it is from")


class MeasuredColumns(Model):
    """The whole list."""

    columns: tuple[Measured, ...]


@cache
def measured() -> dict[str, Measured]:
    """What is said of each column, by its name.

    Raises:
        InputError: an entry lacks one of its parts.
    """
    return {each.name: each for each in validate(MeasuredColumns, read_yaml(FILE), FILE).columns}


def columns() -> Iterator[tuple[str, Column]]:
    """Every column that holds a measured number, with its table."""
    for table in MEASURED_TABLES:
        for column in TABLES[table]:
            if str(column.type) in ("int64", "double") and column.name not in NOT_MEASURED:
                yield table, column


def metrics_page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_section(table, column) for table, column in columns())


def _section(table: str, column: Column) -> str:
    said = measured()[column.name]
    rows = (
        ("what", column.description),
        ("unit", column.unit or "count"),
        ("column", f"`{table}.{column.name}`"),
        ("how", said.how),
        ("limits", said.limits),
        ("source", said.source),
    )
    lines = [f"\n## {column.name}\n", "| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows)]
    return "\n".join(lines) + "\n"
