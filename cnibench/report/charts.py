"""Charts of two scales: tails of latency, scaling, throughput against CPU.

A line or point is told by the name that stands beside it, not by its colour: colours and marks are
those of the profiles, as everywhere in the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from cnibench.report.numbers import short
from cnibench.report.plots import MARKERS
from cnibench.report.svg import GRID, MUTED, SERIES, inline

WIDTH_IN = 4.5
HEIGHT_IN = 2.9
BOX = (0.13, 0.18, 0.58, 0.68)
"""Left, bottom, width and height of the scales; the names stand at the right of them."""

GAP = 0.075
"""Least distance of two names, in heights of the scales."""


@dataclass(frozen=True)
class Curve:
    """Points of one plugin with one profile; a single one is drawn as a mark."""

    label: str
    profile: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """One chart. With ``ticks`` the x scale has these words at 0, 1, 2 ... and y is logarithmic."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    ticks: Sequence[str] = ()


def draw(chart: Chart) -> Markup:
    """The chart as inline SVG; call it inside ``drawing()``."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN))
    axes = figure.add_axes(BOX)
    figure.text(0.02, 0.97, chart.title, va="top", weight="bold", fontsize=9.5)
    for curve in chart.curves:
        _line(axes, curve)
    _scales(axes, chart)
    figure.draw_without_rendering()  # places of names are those of the finished scales
    _names(axes, chart.curves)
    words = f"{chart.title}: {chart.y_label} by {chart.x_label}"
    return inline(figure, chart.name, words, _in_words(chart))


def _line(axes: Axes, curve: Curve) -> None:
    axes.plot(
        *zip(*curve.points, strict=True),
        color=SERIES[curve.profile % len(SERIES)],
        marker=MARKERS[curve.profile % len(MARKERS)],
        markersize=4.5,
        markerfacecolor="none",
        linewidth=1.1,
        clip_on=False,
    )


def _scales(axes: Axes, chart: Chart) -> None:
    values = [y for curve in chart.curves for _, y in curve.points]
    largest_x = max(x for curve in chart.curves for x, _ in curve.points)
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if chart.ticks:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(FixedLocator(_steps(min(values), max(values))))
        axes.xaxis.set_major_locator(FixedLocator(range(len(chart.ticks))))
        axes.set_xticklabels(chart.ticks)
        axes.set_xlim(-0.1, len(chart.ticks) - 0.9)
    else:
        axes.set(xlim=(0, 1.05 * largest_x), ylim=(0, 1.08 * max(values)))
        whole = all(x.is_integer() for curve in chart.curves for x, _ in curve.points)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=whole))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")


def _steps(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten, from just below the lowest value to just above all."""
    found = [factor * 10.0**power for power in range(-3, 9) for factor in (1, 2, 5)]
    inside = [step for step in found if low <= step <= high]
    below, above = [s for s in found if s < low][-1:], [s for s in found if s > high][:1]
    return [*below, *inside, *above]


def _names(axes: Axes, curves: Sequence[Curve]) -> None:
    """The names at the right, each led to from its last point, none on another."""
    into_axes = axes.transData - axes.transAxes
    ends = [(into_axes.transform(curve.points[-1]), curve) for curve in curves]
    ends.sort(key=lambda end: float(end[0][1]))
    for ((x, y), curve), place in zip(ends, _apart([float(e[0][1]) for e in ends]), strict=True):
        axes.plot(
            [x, 1.02, 1.06],
            [y, place, place],
            color=MUTED,
            linewidth=0.5,
            transform=axes.transAxes,
            clip_on=False,
        )
        colour = SERIES[curve.profile % len(SERIES)]
        axes.text(
            1.08, place, curve.label, color=colour, va="center", fontsize=7.5,
            transform=axes.transAxes,
        )  # fmt: skip


def _apart(places: Sequence[float]) -> list[float]:
    """Ascending places, moved up and then down until no two are nearer than ``GAP``."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + GAP) if moved else place)
    over = max(0.0, moved[-1] - 1.05) if moved else 0.0
    for index in range(len(moved) - 1, -1, -1):
        limit = moved[index + 1] - GAP if index + 1 < len(moved) else moved[index] - over
        moved[index] = min(moved[index], limit)
    return moved


def _in_words(chart: Chart) -> str:
    def point(x: float, y: float) -> str:
        where = chart.ticks[int(x)] if chart.ticks else short(x)
        return f"{short(y)} at {where}"

    return "; ".join(
        f"{curve.label}: {', '.join(point(x, y) for x, y in curve.points)}"
        for curve in chart.curves
    )
