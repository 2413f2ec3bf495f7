"""Sides of a comparison: which rows of which store a person means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import duckdb

from steps.lib.comparing.metrics import Metric
from steps.lib.database import open_database
from steps.lib.documents import suggest
from steps.lib.errors import InputError
from steps.lib.store import open_store

KEYS = ("plugin", "version", "profile", "kernel", "campaign")
"""What a side can be told by, beside ``store``."""

BARE = ("plugin", "profile", "campaign")
"""What a word without a key can be."""


@dataclass(frozen=True)
class Side:
    """Rows that one side consists of; ``chosen`` are the keys that it is told by."""

    label: str
    store: str
    chosen: Mapping[str, str]


class Key(NamedTuple):
    """A cell of a candidate."""

    plugin: str
    profile: str
    cell: str


@dataclass(frozen=True)
class Sample:
    """One row of a block: a cell or a reference. ``values`` by metric, null if it has none."""

    campaign: str
    block: str
    plugin: str
    version: str | None
    profile: str
    cell: str
    role: str
    environment: str
    environment_class: str
    method: int
    is_bound: bool
    values: Mapping[str, float | None]


def parse_side(text: str, store: str) -> Side:
    """Read ``key=value,key=value``, or a bare name of a plugin, profile or campaign.

    Raises:
        InputError: it cannot be read, or the store knows no such name, or several.
    """
    if "=" not in text:
        return Side(text, store, {})
    chosen: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in (*KEYS, "store") or not value:
            raise InputError(
                f"side {text!r}: {part!r} is no key=value; keys are {', '.join(KEYS)}, store"
            )
        chosen[key] = value
    return Side(text, chosen.pop("store", store), chosen)


def resolve(side: Side, database: duckdb.DuckDBPyConnection) -> Side:
    """The side with the key of a bare name, and the latest campaign that has it if none is named.

    Raises:
        InputError: the store knows no such name, or it is the name of several things.
    """
    chosen = dict(side.chosen) or ({} if "=" in side.label else _of_bare(side.label, database))
    for key, value in chosen.items():
        known = _known(database, key)
        if value not in known:
            raise InputError(
                f"side {side.label!r}: store {side.store} has no {key} {value!r}; "
                + (suggest(value, known) if known else "it holds no rows")
            )
    if "campaign" not in chosen:
        where, values = _where(chosen)
        found = database.execute(
            f"select campaign from ({_ROWS}) where {where} and status = 'ok' "
            "order by environment_class = 'imported', created_at desc nulls last, "
            "campaign desc limit 1",
            values,
        ).fetchone()
        if found is None:
            raise InputError(f"side {side.label!r}: store {side.store} has no row for it")
        return Side(side.label, side.store, chosen | {"campaign": str(found[0])})
    return Side(side.label, side.store, chosen)


def samples(
    side: Side,
    database: duckdb.DuckDBPyConnection,
    metrics: Sequence[Metric],
    link_bits_per_s: float | None,
) -> list[Sample]:
    """Rows of a side with status ok, of blocks that did not drift; references are among them.

    Zero, negative and not-a-number values become None: they have no logarithm and enter no mean.
    """
    where, values = _where(side.chosen)
    columns = ", ".join(f'({m.sql})::double as "{m.name}"' for m in metrics)
    rows = database.execute(
        "select campaign, block, plugin, version, profile, cell, role, environment_fingerprint, "
        f"environment_class, coalesce(method_version, 0), {_BOUND}, "
        f"{columns} from ({_ROWS}) where status = 'ok' and {where}",
        [link_bits_per_s, *values],
    ).fetchall()
    names = [m.name for m in metrics]
    fixed = [field.name for field in fields(Sample)][:-1]
    return [
        Sample(**dict(zip(fixed, row, strict=False)), values=_usable(names, row[len(fixed) :]))
        for row in rows
    ]


def unmeasured(side: Side, database: duckdb.DuckDBPyConnection) -> dict[Key, str]:
    """Cells of a side that were to be measured and have a run that counts for nothing, and why.

    What was planned as unsupported was not to be measured.
    """
    chosen = {k: v for k, v in side.chosen.items() if k in ("plugin", "profile", "campaign")}
    where, values = _where(chosen)
    rows = database.execute(_UNMEASURED.format(where=where), values).fetchall()
    return {Key(*row[:3]): row[3] for row in rows}


def installs_of(side: Side) -> tuple[str, list[str]]:
    """A select of the campaigns and installs that a side's rows are of, and its parameters."""
    where, values = _where(side.chosen)
    return f"select distinct campaign, install_id from ({_ROWS}) where {where}", values


_UNMEASURED = """
with asked as (
    select campaign, plugin, profile, cell, reason, status
    from outcomes
    union all
    select campaign, plugin, profile, cell, reason, status
    from measurements
    where role = 'cell' and environment_class = 'imported'
)
select plugin, profile, cell, any_value(concat_ws(': ', status, reason))
from asked
where status not in ('ok', 'unsupported') and {where}
group by all
"""
"""What is imported was never planned: its rows are all that is known of what was to be measured."""

_BOUND = """is_at_stated_rate(
    traffic, throughput_bits_per_s, throughput_reverse_bits_per_s, offered_bits_per_s, pairs,
    transactions_per_s, offered_transactions_per_s
) or coalesce(
    throughput_bits_per_s >= 0.95 * ?::double * if(
        client_mtu_bytes is null,
        1.0,
        (client_mtu_bytes - 52) / (client_mtu_bytes + 38.0)
    ),
    false
)"""
"""Whether the wire or the stated rate decides: at 95 % of it.

Of a link, payload is what headers leave: IPv4's, TCP's with time stamps, Ethernet's on the wire.
"""

_ROWS = """
select
    measurements.*, campaigns.created_at, campaigns.method_version,
    blocks.plugin_version as version, of_node.kernel
from measurements
left join campaigns using (campaign)
left join blocks using (campaign, install_id)
left join (
    select campaign, install_id, any_value(kernel) as kernel from nodes group by all
) as of_node using (campaign, install_id)
anti join blocks_drifted using (campaign, install_id)
"""


def open_stores(sides: Sequence[Side]) -> dict[str, duckdb.DuckDBPyConnection]:
    """A database for each store that a side names."""
    return {s: open_database(open_store(s, create=False)) for s in {x.store for x in sides}}


def _where(chosen: Mapping[str, str]) -> tuple[str, list[str]]:
    return " and ".join([f"{key} = ?" for key in chosen] or ["true"]), list(chosen.values())


def _known(database: duckdb.DuckDBPyConnection, key: str) -> tuple[str, ...]:
    found = database.execute(f"select distinct {key} from ({_ROWS}) where {key} is not null")
    return tuple(str(row[0]) for row in found.fetchall())


def _of_bare(name: str, database: duckdb.DuckDBPyConnection) -> dict[str, str]:
    known = {key: _known(database, key) for key in BARE}
    found = [key for key, names in known.items() if name in names]
    if len(found) == 1:
        return {found[0]: name}
    if found:
        raise InputError(
            f"side {name!r} is a {' and a '.join(found)}; write {found[0]}={name}, or the other"
        )
    names = sorted({n for names in known.values() for n in names})
    hint = suggest(name, names) if names else "the store holds no rows"
    raise InputError(f"side {name!r} is no plugin, profile or campaign of the store; {hint}")


def _usable(names: Sequence[str], values: Sequence[Any]) -> dict[str, float | None]:
    return {
        name: value if value is not None and math.isfinite(value) and value > 0 else None
        for name, value in zip(names, values, strict=True)
    }
