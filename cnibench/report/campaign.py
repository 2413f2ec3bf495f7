"""The campaign that is reported: what was asked, in the order and with the names it was asked."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb

from steps.lib.documents import suggest
from steps.lib.errors import InputError
from steps.lib.imports import ENVIRONMENT_CLASS

DIRECTIONS = {"forward": "", "reverse": ", reverse", "both": ", both ways at once"}
HTTP = {"http1": "HTTP/1.1", "http2": "HTTP/2"}


@dataclass(frozen=True)
class Traffic:
    """One kind of traffic of the matrix. ``document`` is its entry, with all parameters."""

    id: str
    label: str
    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """tcp-stream, udp-stream, tcp-rr, tcp-crr, udp-rr, http1 or http2."""
        return str(self.document["kind"])


@dataclass(frozen=True)
class Campaign:
    """The campaign's row, its document unpacked, and when it ran (None: not yet)."""

    name: str
    title: str
    target: str
    environment_class: str
    baseline: str | None
    began: datetime | None
    ended: datetime | None
    document: Mapping[str, Any]

    @cached_property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plugins, as the campaign lists them."""
        return tuple(self.document["campaign"]["plugins"])

    @cached_property
    def profiles(self) -> tuple[str, ...]:
        """Names of the profiles, as the campaign lists them."""
        return tuple(self.document["campaign"]["profiles"])

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Paths of the matrix."""
        return tuple(self.document["matrix"]["paths"])

    @cached_property
    def traffic(self) -> tuple[Traffic, ...]:
        """Kinds of traffic of the matrix; labels that would be equal carry the id, too."""
        entries = self.document["matrix"]["traffic"]
        labels = [_label(entry) for entry in entries]
        counted = Counter(labels)
        return tuple(
            Traffic(e["id"], label if counted[label] == 1 else f"{label} ({e['id']})", e)
            for e, label in zip(entries, labels, strict=True)
        )

    @property
    def repeats(self) -> int:
        """Blocks planned for each plugin and profile."""
        return int(self.document["campaign"]["repeats"])

    def of_kind(self, *kinds: str) -> tuple[Traffic, ...]:
        """Traffic of these kinds."""
        return tuple(t for t in self.traffic if t.kind in kinds)


def choose(database: duckdb.DuckDBPyConnection, name: str | None) -> Campaign:
    """The campaign of that name, or the latest, as ``ask`` chooses it.

    Raises:
        InputError: the store holds no campaign, or none of that name.
    """
    known = [row[0] for row in database.execute(_NAMES).fetchall()]
    if not known:
        raise InputError("the store holds no campaign; run one, or correct --store")
    if name is not None and name not in known:
        raise InputError(f"campaign {name!r} is not in the store; {suggest(name, known)}")
    chosen = name or known[0]
    fields = database.execute(_CAMPAIGN, [chosen]).fetchall()[0]
    title, target, environment_class, baseline, document = fields
    if environment_class == ENVIRONMENT_CLASS:
        raise InputError(
            f"campaign {chosen!r} is imported, a report is of a measured one: name another by "
            f"--campaign, or use `cnibench ask fastest-plugin --campaign {chosen}`"
        )
    began, ended = database.execute(_TIME, [chosen]).fetchall()[0]
    return Campaign(
        chosen, title, target, environment_class, baseline, began, ended, json.loads(document)
    )


_NAMES = (
    "select campaign from campaigns order by environment_class is not distinct from 'imported', "
    "created_at desc nulls last, campaign desc"
)
_CAMPAIGN = (
    "select title, target, environment_class, baseline_plugin, document "
    "from campaigns where campaign = ?"
)
_TIME = """
    select min(moment), max(moment)
    from (
        select campaign, unnest([started_at, ended_at]) as moment from blocks
        union all
        select campaign, started_at from measurements
    )
    where campaign = ?
"""


def _label(entry: Mapping[str, Any]) -> str:
    return _alone(entry) + _beside(entry)


def _beside(entry: Mapping[str, Any]) -> str:
    """What else there is while it is measured."""
    load, policy, scale = (entry.get(name) for name in ("load", "policy", "scale"))
    found = f", {entry['pairs']} pairs" if entry.get("pairs", 1) > 1 else ""
    if load:
        flows = "a TCP flow" if load["streams"] == 1 else f"{load['streams']} TCP flows"
        found += f", beside {flows}"
    if policy:
        found += f", policy {policy['kind']}"
        found += f" of {policy['rules']} rules" if policy["rules"] > 1 else ""
    for name, what in (("services", "Services beside"), ("pods", "pods started at once")):
        if scale and scale.get(name):
            found += f", {scale[name]} {what}"
    return found


def _alone(entry: Mapping[str, Any]) -> str:
    kind = entry["kind"]
    if kind.endswith("rr"):
        return _transactions(entry)
    if kind in HTTP:
        return _http(entry)
    if kind == "no-drop-stream":
        return f"UDP, highest rate with at most {entry['loss_percent_max']:g} % lost"
    label = f"TCP, {_streams(entry)}" if kind == "tcp-stream" else f"UDP at {_rate(entry)}"
    if kind == "udp-stream" and entry["streams"] > 1:
        label += f", {_streams(entry)}"
    return label + DIRECTIONS[entry.get("direction", "forward")]


def _transactions(entry: Mapping[str, Any]) -> str:
    kinds = {
        "tcp-rr": "TCP request/response",
        "tcp-crr": "TCP new connections",
        "udp-rr": "UDP request/response",
    }
    rate = entry.get("rate_per_s")
    return kinds[entry["kind"]] + (f" at {rate} per second" if rate else "")


def _http(entry: Mapping[str, Any]) -> str:
    many = entry["connections"] * entry.get("requests_each", 1)
    at_once = f"{many} requests at once" if many > 1 else "1 request at a time"
    return f"{HTTP[entry['kind']]}, {entry['response_bytes']} bytes, {at_once}"


def _streams(entry: Mapping[str, Any]) -> str:
    return "1 stream" if entry["streams"] == 1 else f"{entry['streams']} streams"


def _rate(entry: Mapping[str, Any]) -> str:
    rate = entry["rate_bits_per_s"]
    return f"{rate / 1e9:g} Gbit/s" if rate >= 1e9 else f"{rate / 1e6:g} Mbit/s"
