"""What a column of a table is."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column. ``unit`` is empty for names, counts of things and yes/no."""

    name: str
    type: pa.DataType
    unit: str
    description: str


def text(name: str, description: str) -> Column:
    """A name or a sentence."""
    return Column(name, pa.string(), "", description)


def count(name: str, description: str, unit: str = "") -> Column:
    """A whole number."""
    return Column(name, pa.int64(), unit, description)


def number(name: str, unit: str, description: str) -> Column:
    """A measured number."""
    return Column(name, pa.float64(), unit, description)
