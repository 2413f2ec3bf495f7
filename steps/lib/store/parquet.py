"""Rows to the bytes of a Parquet object, and back."""

import io
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steps.lib.errors import CnibenchError
from steps.lib.tables import schema

Row = Mapping[str, Any]


class DamagedError(Exception):
    """These bytes are no Parquet table. Never leaves this package: the reader skips the object."""


def encode(table: str, rows: Sequence[Row]) -> bytes:
    """Make the object of some rows of ``table``.

    An object holds few rows of many columns, so all that is written per column (dictionary,
    statistics, units, descriptions) would be most of its size; the schema is in the code.

    Raises:
        CnibenchError: a column is missing, unknown, of another type, or not a number.
    """
    shape = bare_schema(table)
    for row in rows:
        _check(table, row, set(shape.names))
    try:
        content = pa.Table.from_pylist([dict(row) for row in rows], schema=shape)
    except (pa.ArrowException, OverflowError) as error:
        raise CnibenchError(f"table {table}: {_culprit(rows, shape)} ({error})") from error
    sink = io.BytesIO()
    pq.write_table(
        content,
        sink,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
    )
    return sink.getvalue()


def decode(table: str, data: bytes, *more: pa.Field, drop: bool = True) -> pa.Table:
    """Read an object with the columns of ``table``: absent ones null, unknown ones dropped.

    Args:
        table: Which one.
        data: The object.
        more: Columns that it has besides.
        drop: Whether columns that a newer cnibench wrote may be dropped.

    Raises:
        DamagedError: it cannot be read, or not as this table, or not without dropping any.
    """
    if not data:
        raise DamagedError("is empty (0 bytes)")
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        found = file.read(use_threads=False)
        shape = pa.schema([*bare_schema(table), *more])
        unknown = set() if drop else set(found.column_names) - set(shape.names)
        if not unknown:
            return _aligned(found, shape)
    except Exception as error:  # bytes that may be anything make a parser raise anything
        raise DamagedError(f"is damaged: {error}") from error
    raise DamagedError(f"has columns of a newer cnibench: {', '.join(sorted(unknown))}")


@cache
def bare_schema(table: str) -> pa.Schema:
    """Names and types of a table's columns, without units and descriptions."""
    return pa.schema([pa.field(f.name, f.type) for f in schema(table)])


def _aligned(found: pa.Table, shape: pa.Schema) -> pa.Table:
    if found.schema.equals(shape):
        return found
    if found.column_names != shape.names:  # written by another version
        absent = [f for f in shape if f.name not in found.column_names]
        for field in absent:
            found = found.append_column(field, pa.nulls(found.num_rows, field.type))
        found = found.select(shape.names)
    return found.cast(shape)


def _check(table: str, row: Row, columns: set[str]) -> None:
    missing, unknown = sorted(columns - row.keys()), sorted(row.keys() - columns)
    if missing or unknown:
        raise CnibenchError(
            f"table {table}: a row has no {missing or 'column missing'} and unknown "
            f"{unknown or 'columns: none'}; see steps/lib/tables.py"
        )
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise CnibenchError(f"table {table}: {name} is {value}; what is not known is None")


def _culprit(rows: Sequence[Row], shape: pa.Schema) -> str:
    """The first column whose values do not fit, with one of them."""
    for field in shape:
        for row in rows:
            try:
                pa.array([row[field.name]], field.type)
            except (pa.ArrowException, OverflowError):
                return f"column {field.name} is {field.type}, was given {row[field.name]!r}"
    return "rows do not fit the schema"
