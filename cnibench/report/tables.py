"""Tables of the report: gain of profiles, cycles, life of plugins, settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cnibench.report.answers import Row
from cnibench.report.campaign import Campaign
from cnibench.report.numbers import ABSENT, TIE, counted, percent, span
from cnibench.report.plots import Panel, draw
from cnibench.report.words import BLOCKS_MIN


@dataclass(frozen=True)
class Square:
    """One field of a table: what it says, what stands small below, and how it is marked."""

    text: str
    small: str = ""
    kind: str = ""


Fields = Mapping[tuple[str, str], Square]
"""By cell and plugin."""


@dataclass(frozen=True)
class Gain:
    """What one profile gains over the untuned one."""

    profile: str
    base: str
    fields: Fields


def gains(campaign: Campaign, rows: Sequence[Row]) -> Iterator[Gain]:
    """A table for each profile that is not the untuned one."""
    for profile in campaign.profiles:
        found = [r for r in rows if r["profile"] == profile]
        if found:
            fields = {(r["cell"], r["plugin"]): _gain(r) for r in found}
            yield Gain(profile, found[0]["base_profile"] or "untuned", fields)


def _gain(row: Row) -> Square:
    """Marked where the interval of its pairs does not hold 1, as the question says it."""
    if row["rate_ratio"] is None:
        return Square(ABSENT, row["reason"] or "", "absent")
    low, high, pairs = row["rate_ratio_low"], row["rate_ratio_high"], row["pairs"]
    if row["rate_ratio_of_pairs"] is None:
        return Square(percent(row["rate_ratio"]), "medians, no pairs")
    text = percent(row["rate_ratio_of_pairs"])
    if low is None:
        return Square(text, counted(pairs, "pair"))
    small = f"{percent(low)} to {percent(high)}, {counted(pairs, 'pair')}"
    if pairs < BLOCKS_MIN or low <= 1 <= high:
        return Square(text, small)
    up = low > 1
    return Square(f"{'▲' if up else '▼'} {text}", small, "up" if up else "down")


@dataclass(frozen=True)
class Numbers:
    """A table of one traffic: a row for each plugin and profile, a column for each path."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


def cycles(campaign: Campaign, rows: Sequence[Row]) -> Iterator[Numbers]:
    """Cycles per packet, one table for each traffic; its title says what a packet is."""
    keys = [(plugin, profile) for plugin in campaign.plugins for profile in campaign.profiles]
    for traffic in campaign.traffic:
        cells = {path: f"{path}.{traffic.id}" for path in campaign.paths}
        here = {path: [r for r in rows if r["cell"] == cell] for path, cell in cells.items()}
        paths = tuple(path for path, found in here.items() if found)
        packets = sorted({r["packets_source"] for p in paths for r in here[p]} - {None})
        title = f"{traffic.label}: cycles per packet ({'; '.join(packets) or 'none counted'})"
        yield Numbers(
            title, paths, tuple((*key, tuple(_cycles(here[p], key) for p in paths)) for key in keys)
        )


def _cycles(rows: Sequence[Row], key: tuple[str, str]) -> str:
    """Counted and estimated cycles of one cell stay apart."""
    found = [r for r in rows if (r["plugin"], r["profile"]) == key and r["blocks"]]
    return "; ".join(_cycles_of(row) for row in found) or ABSENT


def _cycles_of(row: Row) -> str:
    text = span(*(row[f"cycles_per_packet_{what}"] for what in ("median", "min", "max")))
    sign = f"≈{TIE}" if row["cycles_source"] == "estimate" else ""
    return f"{sign}{text}, n{TIE}{row['blocks']}"


def cycles_sources(rows: Sequence[Row]) -> set[str]:
    """Where the cycles come from."""
    return {r["cycles_source"] for r in rows if r["cycles_source"]}


@dataclass(frozen=True)
class Feature:
    """What is claimed of a plugin, and what was seen of it."""

    claimed: str
    seen: str


def features(campaign: Campaign, rows: Sequence[Row]) -> dict[str, dict[str, Feature]]:
    """By feature and plugin, as the plugins' files order them."""
    found: dict[str, dict[str, Feature]] = {}
    for row in rows:
        if row["plugin"] in campaign.plugins:
            feature = Feature(row["claimed"], _seen(row))
            found.setdefault(row["feature"], {})[row["plugin"]] = feature
    return found


def _seen(row: Row) -> str:
    """What the gates of this campaign say; else what the plugin's file says of earlier looks."""
    passed, failed = row["runs_passed"] or 0, row["runs_failed"] or 0
    if passed or failed:
        return f"seen in {passed} runs" + (f", not in {failed}" if failed else "")
    return f"seen: {row['verified']}" if row["verified"] else "not seen"


def spans(row: Row, names: Sequence[str]) -> list[str]:
    """Median and range of several columns of one row."""
    return [span(row[f"{n}_median"], row[f"{n}_min"], row[f"{n}_max"]) for n in names]


def starts(campaign: Campaign, rows: Sequence[Row]) -> Markup:
    """A plot of how long it takes to create an endpoint."""
    found = {(r["plugin"], r["profile"]): r for r in rows}
    return draw(
        Panel(
            name="endpoint-start",
            title="Creating an endpoint",
            unit="ms",
            plugins=campaign.plugins,
            profiles=campaign.profiles,
            runs={key: row["starts_ms"] for key, row in found.items()},
            medians={key: row["start_ms_median"] for key, row in found.items()},
            absent={
                (plugin, profile): "none created"
                for plugin in campaign.plugins
                for profile in campaign.profiles
            },
        )
    )
