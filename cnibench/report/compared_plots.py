"""Plots of a comparison: every run of every side, in percent of the first side's mean."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from cnibench.report.numbers import percent, short
from cnibench.report.plots import Panel, Point, draw
from steps.lib.comparing.compare import Comparison, Line
from steps.lib.comparing.inference import Verdict
from steps.lib.comparing.metrics import find_metrics

PLOTS_MAX = 60

CHANGED = (Verdict.regressed, Verdict.improved)
SIGNS = {
    Verdict.improved: "▲",
    Verdict.regressed: "▼",
    Verdict.equal: "=",
    Verdict.inconclusive: "?",
}

Key = tuple[str, str]
"""A traffic and the label of a side."""

Rows = Mapping[str, Sequence[Line]]
"""Lines by traffic: one for each side but the first."""


@dataclass(frozen=True)
class Plots:
    """Plots of one metric."""

    title: str
    plots: tuple[Markup, ...]


def plots(compared: Comparison) -> tuple[list[Plots], int]:
    """Plots by metric, and for how many there was no room; such with a change come first."""
    places: dict[tuple[str, str], dict[str, list[Line]]] = {}
    for line in compared.lines:
        group, traffic = _place(line)
        places.setdefault((line.metric, group), {}).setdefault(traffic, []).append(line)
    kept = set(sorted(places, key=lambda place: not _is_changed(places[place]))[:PLOTS_MAX])
    metrics: dict[str, list[Markup]] = {}
    for place, rows in places.items():
        if place in kept:
            metrics.setdefault(place[0], []).append(draw(_panel(*place, compared, rows)))
    found = [Plots(_title(metric), tuple(drawn)) for metric, drawn in metrics.items()]
    return found, len(places) - len(kept)


def geometric(values: Sequence[float]) -> float:
    """The mean that a ratio is made of."""
    return math.exp(sum(map(math.log, values)) / len(values))


def _place(line: Line) -> tuple[str, str]:
    """Candidate and path share a plot, traffic is a row of it."""
    path, _, traffic = line.cell_id.partition(".")
    return ", ".join(filter(None, (line.candidate, path))), traffic


def _is_changed(rows: Rows) -> bool:
    return any(line.verdict in CHANGED for lines in rows.values() for line in lines)


def _title(metric: str) -> str:
    (found,) = find_metrics((metric,))
    better = "more" if found.higher_is_better else "less"
    return f"{found.title} ({found.unit}, {better} is better)"


@dataclass
class _Drawn:
    """What a plot shows, in percent of change."""

    runs: dict[Key, list[float]] = field(default_factory=dict)
    means: dict[Key, float] = field(default_factory=dict)
    intervals: dict[Key, Point] = field(default_factory=dict)
    labels: dict[Key, str] = field(default_factory=dict)
    absent: dict[Key, str] = field(default_factory=dict)

    def add(self, traffic: str, line: Line) -> None:
        """Add both sides of a line; nothing is drawn beside a side that it is not comparable to."""
        first, second = (traffic, line.first), (traffic, line.second)
        if not line.values[0]:
            self.absent |= {first: "not measured", second: "not compared"}
            return
        mean = geometric(line.values[0])
        self._enter(first, line.values[0], mean, short(mean))
        if not line.values[1]:
            self.absent[second] = "not measured"
        elif line.verdict is Verdict.not_comparable:
            self.absent[second] = "not compared"
        else:
            change = percent(geometric(line.values[1]) / mean)
            self._enter(second, line.values[1], mean, f"{SIGNS[line.verdict]} {change}")
        if line.effect:
            self.intervals[second] = (_change(line.effect.low), _change(line.effect.high))

    def _enter(self, key: Key, values: Sequence[float], base: float, label: str) -> None:
        self.runs[key] = [_change(value / base) for value in values]
        self.means[key] = _change(geometric(values) / base)
        self.labels[key] = label

    def limits(self, margin: Point) -> Point:
        """Ends of a scale with room for everything, the margin too."""
        ends = [*margin, *(v for of in (*self.runs.values(), *self.intervals.values()) for v in of)]
        room = 0.05 * (max(ends) - min(ends))
        return min(ends) - room, max(ends) + room


def _panel(metric: str, group: str, compared: Comparison, rows: Rows) -> Panel:
    drawn = _Drawn()
    for traffic, lines in rows.items():
        for line in lines:
            drawn.add(traffic, line)
    sides = [side.label for side in compared.sides]
    percents = max(line.margin_percent for lines in rows.values() for line in lines)
    margin = (_change(1 / (1 + percents / 100)), percents)
    return Panel(
        name=re.sub(r"[^a-z0-9]+", "-", f"{metric}-{group}".lower()),
        title=group,
        unit=f"change against {sides[0]}, %",
        plugins=tuple(rows),
        profiles=sides,
        runs=drawn.runs,
        medians=drawn.means,
        absent={(t, s): drawn.absent.get((t, s), "not planned") for t in rows for s in sides},
        reference=0.0,
        intervals=drawn.intervals,
        labels=drawn.labels,
        limits=drawn.limits(margin),
        margin=margin,
    )


def _change(ratio: float) -> float:
    return 100 * (ratio - 1)
