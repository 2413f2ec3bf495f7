"""The tables, views and questions of a store as SQL, for every program that runs DuckDB."""

import re
from pathlib import Path

import pyarrow as pa

from steps.lib.store import Store, keys
from steps.lib.store.s3 import S3Store
from steps.lib.tables import PARTS_OF_MEASUREMENTS, TABLES, schema

QUERIES = Path(__file__).parents[2] / "queries"

VIEWS = QUERIES / "views"
"""Views that several questions share, one per file, named like the file."""

MACROS = QUERIES / "macros"
"""Files of macros that questions and views use."""

_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")


def no_rows(shape: pa.Schema) -> str:
    """A select of all columns of a table, without a row."""
    columns = ", ".join(f"null::{sql_type(field.type)} as {field.name}" for field in shape)
    return f"select {columns} where false"


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of a type that the tables use."""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"struct({', '.join(f'{f.name} {sql_type(f.type)}' for f in kind)})"
    if pa.types.is_map(kind):
        return f"map({sql_type(kind.key_type)}, {sql_type(kind.item_type)})"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    return {
        pa.string(): "varchar", pa.int64(): "bigint", pa.float64(): "double", pa.bool_(): "boolean"
    }[kind]  # fmt: skip


def shared() -> list[str]:
    """Macros and views that questions use; where they are there already nothing changes."""
    macros = [path.read_text(encoding="utf-8") for path in sorted(MACROS.glob("*.sql"))]
    return macros + [
        f"create view if not exists {path.stem} as\n{path.read_text(encoding='utf-8')}"
        for path in sorted(VIEWS.glob("*.sql"))
    ]


def questions() -> list[str]:
    """Every question as a table macro: ``from fastest_plugin(campaign := 'demo')``.

    A macro's parameter hides columns of its name, in views that the body uses too, so the body has
    parameters of other names. It is called as text, since nothing else keeps the outer names out.
    """
    return [s for path in sorted(QUERIES.glob("*.sql")) for s in _question(path)]


def _question(path: Path) -> tuple[str, str]:
    name, body = path.stem.replace("-", "_"), path.read_text(encoding="utf-8")
    parameters = sorted(set(_VARIABLE.findall(body)))
    inner = ", ".join(f"asked_{p}" for p in parameters)
    outer = ", ".join(f"{p} := null" for p in parameters)
    quote, twice = "chr(39)", "chr(39) || chr(39)"
    texts = " || ', ' || ".join(
        f"coalesce({quote} || replace({p}::varchar, {quote}, {twice}) || {quote}, 'null')"
        for p in parameters
    )
    return (
        f"create or replace macro {name}_of({inner}) as table (\n"
        f"{_VARIABLE.sub(lambda m: f'asked_{m[1]}', body)})",
        f"create or replace macro {name}({outer}) as table "
        f"select * from query('from {name}_of(' || {texts} || ')')",
    )


def script(store: Store) -> str:
    """SQL that gives DuckDB's own command line, or a notebook, the store's objects as they lie.

    Keys of a bucket are read from the environment where the script runs; it holds none.
    """
    present = [name for name in TABLES if _has_rows(store, name)]
    statements = _bucket(store) if isinstance(store, S3Store) else []
    root = f"s3://{store.bucket}/{store.prefix}" if isinstance(store, S3Store) else ""
    root = root or f"{Path(store.address).absolute()}/"
    ordered = sorted(TABLES, key=lambda name: name in PARTS_OF_MEASUREMENTS)
    statements += [_view(name, _as_it_lies(name, root, name in present)) for name in ordered]
    everything = (*statements, *shared(), *questions())
    return "\n\n".join(f"{s.strip().removesuffix(';')};" for s in everything) + "\n"


def _view(name: str, source: str) -> str:
    if name in PARTS_OF_MEASUREMENTS:
        source = f"select * from ({source}) semi join measurements using (measurement_id)"
    return f"create or replace view {name} as {source}"


def _has_rows(store: Store, name: str) -> bool:
    """Whether DuckDB would find an object; a pattern that fits none is an error to it."""
    return any(stored.key.endswith(".parquet") for stored in store.objects(keys.prefix(name)))


def _as_it_lies(name: str, root: str, is_present: bool) -> str:
    """Objects may be of several versions: absent columns are null. Moments are UTC, unzoned."""
    rows = no_rows(schema(name))
    if is_present:
        pattern = quoted(root) + f" || '{keys.prefix(name)}**/*.parquet'"
        rows += (
            f"\nunion all by name select * from read_parquet({pattern}, union_by_name = true, "
            "hive_partitioning = true, hive_types = {'campaign': varchar})"
        )
    moments = [f.name for f in schema(name) if pa.types.is_timestamp(f.type)]
    replaced = ", ".join(f"({m} at time zone 'UTC') as {m}" for m in moments)
    return f"select *{f' replace ({replaced})' if replaced else ''} from ({rows})"


def _bucket(store: S3Store) -> list[str]:
    settings = store.settings
    return [
        "install httpfs",
        "load httpfs",
        "create or replace secret cnibench (type s3, key_id getenv('AWS_ACCESS_KEY_ID'), "
        "secret getenv('AWS_SECRET_ACCESS_KEY'), "
        f"endpoint {quoted(settings.host)}, url_style 'path', "
        f"use_ssl {str(settings.scheme == 'https').lower()}, region {quoted(settings.region)}, "
        f"scope {quoted('s3://' + store.bucket)})",
    ]


def quoted(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
