"""Comparing two or more sides, cell by cell; the first side is what the others are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from steps.lib.comparing.drift import factors, references
from steps.lib.comparing.inference import Effect, Verdict, blocks_needed, holm, judge, welch
from steps.lib.comparing.metrics import COST, RATES, Metric, find_metrics
from steps.lib.comparing.sides import (
    Key,
    Sample,
    Side,
    open_stores,
    parse_side,
    resolve,
    samples,
    unmeasured,
)
from steps.lib.errors import InputError

ONE_BLOCK = "one block has no spread; measure at least 2 a side, 5 to publish"


@dataclass(frozen=True)
class Asked:
    """What a person may choose."""

    metrics: tuple[str, ...] = ()
    margin_percent: float | None = None
    link_bits_per_s: float | None = None
    label_environments: bool = False


@dataclass(frozen=True)
class Line:
    """One cell and metric of one side against the first."""

    cell: str
    metric: str
    first: str
    second: str
    blocks: tuple[int, int]
    values: tuple[tuple[float, ...], tuple[float, ...]]
    """One of each block and side, in the metric's unit, drift taken out where the notes say so."""
    margin_percent: float
    verdict: Verdict
    reason: str
    effect: Effect | None = None
    p_adjusted: float | None = None
    needed: int | None = None
    notes: tuple[str, ...] = ()
    acknowledged: str | None = None
    is_lost: bool = False
    """The first side was measured, this one was to be measured and was not."""

    @property
    def candidate(self) -> str:
        """What of plugin and profile the sides have in common, told apart by commas."""
        return ", ".join(self.cell.split(" ")[:-1])

    @property
    def cell_id(self) -> str:
        """The cell alone, ``<path>.<traffic>``, without plugin and profile."""
        return self.cell.split(" ")[-1]


@dataclass(frozen=True)
class Comparison:
    """All lines, how many tests share the level of 5 %, and how many blocks each side has."""

    sides: tuple[Side, ...]
    blocks: tuple[int, ...]
    lines: tuple[Line, ...]
    family: int


@dataclass(frozen=True)
class _Loaded:
    side: Side
    rows: list[Sample]
    cells: dict[str, list[Sample]]
    lost: dict[str, str]
    """Cells that were to be measured and have a run that was not, with its reason."""


def compare(texts: Sequence[str], store: str, asked: Asked) -> Comparison:
    """Compare sides as written on the command line.

    Raises:
        InputError: fewer than two sides, one is not known, or they have no cell in common.
    """
    if len(texts) < 2:
        raise InputError("a comparison needs two sides or more, e.g. `compare A B`")
    metrics = find_metrics(asked.metrics or RATES)
    sides = [parse_side(text, store) for text in texts]
    databases = open_stores(sides)
    sides = [resolve(side, databases[side.store]) for side in sides]
    read = tuple({m.name: m for m in (*metrics, *find_metrics((COST,)))}.values())
    # Only what every side states tells them apart: else other plugins would pass for repeats.
    apart = set.intersection(*(set(side.chosen) for side in sides))
    loaded = [
        _load(side, databases[side.store], read, asked.link_bits_per_s, apart) for side in sides
    ]
    lines = [
        line
        for other in loaded[1:]
        for cell in sorted(loaded[0].cells.keys() | other.cells.keys())
        for line in _lines(cell, loaded[0], other, metrics, asked)
    ]
    if all(not loaded[0].cells.keys() & other.cells.keys() for other in loaded[1:]):
        raise InputError(_nothing_common(loaded))
    if not lines:
        asked_for = ", ".join(metric.name for metric in metrics)
        raise InputError(f"no cell of these sides has {asked_for}; write another --metric")
    return _corrected(loaded, lines)


def _load(
    side: Side,
    database: duckdb.DuckDBPyConnection,
    metrics: Sequence[Metric],
    link_bits_per_s: float | None,
    apart: set[str],
) -> _Loaded:
    """Cells carry plugin and profile in their names where the sides are not told by them."""

    def name(key: Key) -> str:
        parts = [] if "plugin" in apart else [key.plugin]
        parts += [] if "profile" in apart else [key.profile]
        return " ".join([*parts, key.cell])

    rows = samples(side, database, metrics, link_bits_per_s)
    cells: dict[str, list[Sample]] = {}
    for row in rows:
        if row.role == "cell":
            cells.setdefault(name(Key(row.plugin, row.profile, row.cell)), []).append(row)
    lost = {name(key): why for key, why in unmeasured(side, database).items()}
    return _Loaded(side, rows, cells, lost)


def _lines(
    cell: str, first: _Loaded, second: _Loaded, metrics: Sequence[Metric], asked: Asked
) -> list[Line]:
    pair = (first.cells.get(cell, []), second.cells.get(cell, []))
    both = [*pair[0], *pair[1]]
    bound = all(pair) and all(row.is_bound for row in both)
    (cost,) = find_metrics((COST,))
    lines: list[Line] = []
    for metric in metrics:
        if all(row.values[metric.name] is None for row in both):
            continue
        notes: tuple[str, ...] = ()
        used = metric
        if bound and metric.name in RATES:
            has_cost = all(any(row.values[cost.name] for row in rows) for rows in pair)
            used = cost if has_cost else metric
            how = "compared by CPU" if has_cost else "no CPU of its own is known"
            notes = (f"bound by the link or a stated rate: {how}",)
        if any(line.metric == used.name for line in lines):
            continue
        lines.append(_line(cell, (first, second), pair, used, asked, notes))
    return lines


def _line(
    cell: str,
    sides: tuple[_Loaded, _Loaded],
    pair: tuple[list[Sample], list[Sample]],
    metric: Metric,
    asked: Asked,
    notes: tuple[str, ...],
) -> Line:
    drift = _drift(sides, pair, metric)
    values = [_values(s, rows, metric, drift) for s, rows in zip(sides, pair, strict=True)]
    counts = (len(values[0]), len(values[1]))
    line = Line(
        cell=cell,
        metric=metric.name,
        first=sides[0].side.label,
        second=sides[1].side.label,
        blocks=counts,
        values=(tuple(values[0]), tuple(values[1])),
        margin_percent=asked.margin_percent or metric.margin_percent,
        verdict=Verdict.not_comparable,
        reason="",
        notes=(*notes, *(("drift removed",) if drift else ()), *_unusable(sides, pair, metric)),
    )
    if 0 in counts:
        return _without_runs(line, cell, sides)
    refused, differ = _refusal(pair, asked)
    if refused:
        return replace(line, reason=refused)
    line = replace(line, verdict=Verdict.inconclusive, notes=(*line.notes, *differ))
    if min(counts) < 2:
        return replace(line, reason=ONE_BLOCK)
    return replace(line, effect=welch(*values))


def _without_runs(line: Line, cell: str, sides: tuple[_Loaded, _Loaded]) -> Line:
    """A line without values on a side; lost if that is the second, which was to have some."""
    empty = sides[line.blocks.index(0)]
    why = empty.lost.get(cell)
    known = why is not None or cell in empty.cells
    reason = f"{empty.side.label!r} has no usable run of it" + (f": {why}" if why else "")
    return replace(line, reason=reason, is_lost=line.blocks[0] > 0 and known)


def _unusable(
    sides: tuple[_Loaded, _Loaded], pair: tuple[list[Sample], list[Sample]], metric: Metric
) -> list[str]:
    """Runs that enter no mean, since a block must not leave one unseen."""
    counts = [sum(row.values[metric.name] is None for row in rows) for rows in pair]
    return [
        f"{count} of {len(rows)} runs of {side.side.label!r} have no usable {metric.name}"
        for count, side, rows in zip(counts, sides, pair, strict=True)
        if count
    ]


def _drift(
    sides: tuple[_Loaded, _Loaded], pair: tuple[list[Sample], list[Sample]], metric: Metric
) -> dict[tuple[str, str, str], float]:
    """Factors by block; none where something other than drift explains what references show.

    They run on nodes that are tuned and have the plugin's rules and programs, so of two profiles,
    plugins, versions or environments they show the difference that is asked for; and what its
    stated rate or the link bounds does not drift.
    """
    rows = [*pair[0], *pair[1]]
    apart = [{(r.plugin, r.profile, r.environment) for r in side} for side in pair]
    versions = [{r.version for r in side if r.version} for side in pair]
    differ = apart[0] != apart[1] or (all(versions) and versions[0] != versions[1])
    if differ or all(row.is_bound for row in rows):
        return {}
    known = {k: v for s in sides for k, v in references(s.side.store, s.rows, metric.name).items()}
    blocks = dict.fromkeys(
        (s.side.store, row.campaign, row.block)
        for s, own in zip(sides, pair, strict=True)
        for row in own
    )
    return factors(known, blocks)


def _values(
    loaded: _Loaded, rows: list[Sample], metric: Metric, drift: Mapping[tuple[str, str, str], float]
) -> list[float]:
    return [
        value / drift.get((loaded.side.store, row.campaign, row.block), 1.0)
        for row in rows
        if (value := row.values[metric.name]) is not None
    ]


def _refusal(pair: tuple[list[Sample], list[Sample]], asked: Asked) -> tuple[str, tuple[str, ...]]:
    """Why the rows cannot be compared, or what is to be said where they are all the same."""
    rows = [*pair[0], *pair[1]]
    classes = sorted({row.environment_class or "unknown" for row in rows})
    if len(classes) > 1:
        return f"environment classes never mix: {', '.join(classes)}", ()
    if classes == ["emulated"]:
        return "emulated nodes: they show that it works, and nothing of its speed", ()
    methods = sorted({row.method for row in rows})
    if len(methods) > 1:
        return f"measured by methods {', '.join(map(str, methods))} (CHANGELOG.md, Method)", ()
    prints = sorted({(row.environment or "none")[:12] for row in rows})
    if len(prints) > 1 and not asked.label_environments:
        return (
            f"environment fingerprints differ: {', '.join(prints)}; --label-environments compares "
            "all the same and says so",
            (),
        )
    return "", ("environments differ: " + ", ".join(prints),) if len(prints) > 1 else ()


def _corrected(loaded: Sequence[_Loaded], lines: list[Line]) -> Comparison:
    """Judge every line that has an effect: all of them are one family."""
    p_adjusted = iter(holm([line.effect.p for line in lines if line.effect]))
    family = sum(line.effect is not None for line in lines)
    judged = [_judged(line, next(p_adjusted), family) if line.effect else line for line in lines]
    blocks = tuple(len({(row.campaign, row.block) for row in one.rows}) for one in loaded)
    return Comparison(tuple(one.side for one in loaded), blocks, tuple(judged), family)


def _judged(line: Line, p_adjusted: float, family: int) -> Line:
    effect = line.effect
    assert effect
    (metric,) = find_metrics((line.metric,))
    verdict = judge(effect, p_adjusted, line.margin_percent, metric.higher_is_better)
    line = replace(line, p_adjusted=p_adjusted, verdict=verdict)
    if verdict is not Verdict.inconclusive:
        return line
    needed = blocks_needed(line.margin_percent, effect.log_sd, family)
    if needed is None:
        return replace(line, reason="varies too much for any number of blocks")
    if needed <= min(line.blocks):
        return replace(line, reason=f"too near to {line.margin_percent:g} % for these blocks")
    reason = f"{needed} blocks a side would show {line.margin_percent:g} %"
    return replace(line, reason=reason, needed=needed)


def _nothing_common(loaded: Sequence[_Loaded]) -> str:
    has = "; ".join(
        f"{x.side.label!r} has {', '.join(sorted(x.cells)[:3]) or 'no usable run'}" for x in loaded
    )
    return f"the sides have no cell in common: {has}. Choose sides that ran the same matrix"
