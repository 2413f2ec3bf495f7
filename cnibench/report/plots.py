"""The plots: a row for each plugin, a dot for each independent run, a bar at the median."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from cnibench.report.numbers import short
from cnibench.report.svg import GRID, INK, MUTED, SERIES, inline

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One for each profile: told apart without colour, too."""

WIDTH_IN = 4.5
ROW_IN = 0.185
GAP_IN = 0.09
TOP_IN = 0.32
BOTTOM_IN = 0.45
RIGHT_IN = 0.85
CHARACTER_IN = 0.074
LABEL_CHARACTERS_MAX = 22

MANY = 150
"""With more dots than this, they are drawn smaller."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        name: Unique on the page.
        title: Stands above it.
        unit: Of the values.
        plugins: Rows, from the top.
        profiles: The lines of each row, from the top.
        runs: Values by plugin and profile; what is not here was not measured.
        medians: Their medians.
        absent: Why there are no values, by plugin and profile.
        reference: Value of a line across all rows.
        intervals: A line from a lower to an upper end, by plugin and profile.
        labels: What stands beside the values; where there is none, their median.
        limits: Ends of the scale, which else goes from zero to the largest value.
        margin: A band across all rows, from a lower to an upper value.
    """

    name: str
    title: str
    unit: str
    plugins: Sequence[str]
    profiles: Sequence[str]
    runs: Mapping[tuple[str, str], Sequence[float]]
    medians: Mapping[tuple[str, str], float]
    absent: Mapping[tuple[str, str], str]
    reference: float | None = None
    intervals: Mapping[tuple[str, str], Point] = field(default_factory=dict)
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict)
    limits: Point | None = None
    margin: Point | None = None

    def label(self, key: tuple[str, str]) -> str:
        """What stands beside the values."""
        return self.labels.get(key) or short(self.medians[key])


def draw(panel: Panel) -> Markup:
    """The plot as inline SVG; call it inside ``drawing()``."""
    figure, axes = _canvas(panel)
    for number, profile in enumerate(panel.profiles):
        _profile(axes, panel, number, profile)
    _names(axes, panel)
    _scale(axes, panel)
    return inline(figure, panel.name, f"{panel.title}, {panel.unit}", _in_words(panel))


def swatch(name: str, profile: int) -> Markup:
    """The mark of the n-th profile, for a legend; call it inside ``drawing()``."""
    figure = Figure(figsize=(0.5, 0.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 5), ylim=(-1, 1))
    _marks(axes, profile, [(1, 0), (2, 0), (4, 0)], [(2, 0)])
    return inline(figure, f"{name}-{profile}", "mark", "dots for runs, a bar for the median")


def _canvas(panel: Panel) -> tuple[Figure, Axes]:
    rows = len(panel.plugins) * (len(panel.profiles) * ROW_IN + GAP_IN)
    height = TOP_IN + rows + BOTTOM_IN
    longest = max((len(part) for p in panel.plugins for part in _wrapped(p).split("\n")), default=1)
    left = 0.15 + longest * CHARACTER_IN
    figure = Figure(figsize=(WIDTH_IN, height))
    box = (left / WIDTH_IN, BOTTOM_IN / height, 1 - (left + RIGHT_IN) / WIDTH_IN, rows / height)
    axes = figure.add_axes(box)
    figure.text(
        0.1 / WIDTH_IN, 1 - 0.08 / height, panel.title, va="top", weight="bold", fontsize=9.5
    )
    return figure, axes


def _height(panel: Panel, place: int, line: int) -> float:
    row = len(panel.profiles) * ROW_IN + GAP_IN
    return -(place * row + GAP_IN / 2 + (line + 0.5) * ROW_IN)


def _profile(axes: Axes, panel: Panel, number: int, profile: str) -> None:
    """All runs and medians of one profile, and what stands at the right of its lines."""
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    dots: list[tuple[float, float]] = []
    bars: list[tuple[float, float]] = []
    for place, plugin in enumerate(panel.plugins):
        key, y = (plugin, profile), _height(panel, place, number)
        if key in panel.medians:
            dots += [(value, y) for value in panel.runs[key]]
            bars.append((panel.medians[key], y))
            label, colour = panel.label(key), INK
        else:
            label, colour = panel.absent[key], MUTED
        axes.text(
            1.02, y, label, color=colour, va="center_baseline", fontsize=7.5, transform=beside
        )
    known = [key for key in panel.intervals if key[1] == profile]
    ends = [panel.intervals[key] for key in known]
    heights = [_height(panel, panel.plugins.index(plugin), number) for plugin, _ in known]
    axes.hlines(
        heights,
        [low for low, _ in ends],
        [high for _, high in ends],
        color=INK,
        linewidth=1.0,
        zorder=3,
    )
    _marks(axes, number, dots, bars)


def _marks(axes: Axes, profile: int, dots: Sequence[Point], bars: Sequence[Point]) -> None:
    colour = SERIES[profile % len(SERIES)]
    many = len(dots) > MANY
    axes.plot(
        [x for x, _ in dots],
        [y for _, y in dots],
        linestyle="none",
        marker=MARKERS[profile % len(MARKERS)],
        markersize=2.8 if many else 4.5,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=0.5 if many else 1.0,
        clip_on=False,
    )
    axes.plot(
        [x for x, _ in bars],
        [y for _, y in bars],
        linestyle="none",
        marker="|",
        markersize=11,
        markeredgewidth=2.4,
        color=colour,
        zorder=4,
    )


def _names(axes: Axes, panel: Panel) -> None:
    """Names of the plugins at the left, lines between them. An axis with ticks would be slower."""
    row = len(panel.profiles) * ROW_IN + GAP_IN
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for place, plugin in enumerate(panel.plugins):
        y = -(place + 0.5) * row
        axes.text(-0.03, y, _wrapped(plugin), ha="right", va="center", transform=beside)
    between = [-place * row for place in range(1, len(panel.plugins))]
    axes.hlines(between, 0, 1, color=GRID, linewidth=0.5, transform=beside)
    axes.set_ylim(-len(panel.plugins) * row, 0)
    axes.yaxis.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _scale(axes: Axes, panel: Panel) -> None:
    """The scale of the values, from zero if nothing else is asked for."""
    largest = max((v for values in panel.runs.values() for v in values), default=0.0)
    largest = max(largest, panel.reference or 0.0)
    # Room for half a dot at zero.
    axes.set_xlim(*(panel.limits or (-0.02 * largest, largest * 1.05 or 1.0)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4) if panel.runs else NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlabel(panel.unit)
    axes.tick_params(axis="x", length=0)
    axes.xaxis.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if panel.margin:
        axes.axvspan(*panel.margin, color=GRID, alpha=0.6, linewidth=0, zorder=0)
    if panel.reference is not None:
        axes.axvline(panel.reference, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))


def _wrapped(name: str) -> str:
    """A long name on two lines, broken at a hyphen near its middle."""
    if len(name) <= LABEL_CHARACTERS_MAX:
        return name
    breaks = [place for place, sign in enumerate(name) if sign == "-"] or [len(name) // 2]
    place = min(breaks, key=lambda at: abs(at - len(name) / 2))
    return f"{name[: place + 1]}\n{name[place + 1 :]}"


def _in_words(panel: Panel) -> str:
    return "; ".join(
        f"{plugin} with {profile}: {_in_a_word(panel, (plugin, profile))}"
        for plugin in panel.plugins
        for profile in panel.profiles
    )


def _in_a_word(panel: Panel, key: tuple[str, str]) -> str:
    if key not in panel.medians:
        return panel.absent[key]
    word = "" if key in panel.labels else "median "
    return f"{word}{panel.label(key)} of {len(panel.runs[key])}"
