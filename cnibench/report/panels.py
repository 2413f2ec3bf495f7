"""Small multiples: for each traffic a plot per path, in groups of one metric."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign, Traffic
from cnibench.report.coverage import STATUSES, counts
from cnibench.report.numbers import ABSENT, TIE, span
from cnibench.report.plots import Panel, draw
from cnibench.report.tables import Numbers
from cnibench.report.words import is_control

STREAMS = ("tcp-stream", "udp-stream", "no-drop-stream")
TRANSACTIONS = ("tcp-rr", "tcp-crr", "udp-rr", "http1", "http2")


@dataclass(frozen=True)
class Metric:
    """What a group of plots shows. ``metric`` is its name in the answer of `spread`."""

    metric: str
    title: str
    unit: str
    better: str
    kinds: tuple[str, ...]

    @property
    def is_rate(self) -> bool:
        """Whether the stated rate of the traffic is on the same scale."""
        return self.unit == "Gbit/s"


SPEED = (
    Metric("throughput_gbits_per_s", "Throughput", "Gbit/s", "more", ("tcp-stream",)),
    Metric("transactions_per_s", "Rate", "per second", "more", TRANSACTIONS),
    Metric("latency_us_p99", "99th percentile of latency", "µs", "less", TRANSACTIONS),
    Metric("throughput_gbits_per_s", "Goodput", "Gbit/s", "more", STREAMS[1:]),
    Metric("lost_percent", "Loss", "% of datagrams", "less", ("udp-stream",)),
)

COST = (
    Metric("cpu_s_per_gbit", "CPU", "CPU-seconds per Gbit", "less", STREAMS),
    Metric("cpu_us_per_transaction", "CPU", "CPU-µs per transaction", "less", TRANSACTIONS),
)


@dataclass(frozen=True)
class Group:
    """The plots of one metric and one traffic, and their numbers as a table."""

    plots: tuple[Markup, ...]
    numbers: Numbers


Reasons = Mapping[str, Mapping[tuple[str, str], str]]
"""Why there is no number, by cell, then by plugin and profile."""


@dataclass(frozen=True)
class Source:
    """What panels are made from: runs by metric, cell, plugin and profile; why there are none."""

    campaign: Campaign
    runs: Mapping[tuple[str, str, str, str], Row]
    reasons: Reasons

    @property
    def keys(self) -> Sequence[tuple[str, str]]:
        """Every plugin with every profile."""
        return [(p, q) for p in self.campaign.plugins for q in self.campaign.profiles]


def groups(campaign: Campaign, answers: Answers, metrics: Sequence[Metric]) -> Iterator[Group]:
    """All groups of these metrics that the campaign planned."""
    runs = {(r["metric"], r["cell"], r["plugin"], r["profile"]): r for r in answers("spread")}
    source = Source(campaign, runs, _reasons(answers("coverage-by-cell")))
    for metric in metrics:
        for traffic in campaign.of_kind(*metric.kinds):
            yield _group(source, metric, traffic)


def _reasons(outcomes: Sequence[Row]) -> Reasons:
    told: dict[str, dict[tuple[str, str], str]] = {}
    for (plugin, profile, cell), found in counts(outcomes).items():
        first, *others = (_reason(status, found[status]) for status in STATUSES if found[status])
        # Beside a plot there is room for one reason; `coverage` has them all.
        told.setdefault(cell, {})[plugin, profile] = f"{first}, …" if others else first
    return told


def _reason(status: str, blocks: int) -> str:
    """Why runs of one status give no dot, in as many words as fit beside a plot."""
    if status == "ok":
        return "left out"
    return "unsupported" if status == "unsupported" else f"{blocks} {status}"


def _group(source: Source, metric: Metric, traffic: Traffic) -> Group:
    paths = [p for p in source.campaign.paths if f"{p}.{traffic.id}" in source.reasons]
    panels = [_panel(source, metric, traffic, path) for path in paths]
    rows = tuple((*key, tuple(_number(panel, key) for panel in panels)) for key in source.keys)
    title = f"{metric.title}: {traffic.label} ({metric.unit}, {metric.better} is better)"
    return Group(tuple(draw(panel) for panel in panels), Numbers(title, tuple(paths), rows))


def _panel(source: Source, metric: Metric, traffic: Traffic, path: str) -> Panel:
    cell = f"{path}.{traffic.id}"
    found = {
        key: row for key in source.keys if (row := source.runs.get((metric.metric, cell, *key)))
    }
    offered = (traffic.document.get("rate_bits_per_s") or 0) * traffic.document.get("pairs", 1)
    return Panel(
        name=re.sub(r"[^a-z0-9]+", "-", f"{metric.metric}-{cell}"),
        title=f"{path} (control)" if is_control(path) else path,
        unit=metric.unit,
        plugins=source.campaign.plugins,
        profiles=source.campaign.profiles,
        runs={key: row["runs"] for key, row in found.items()},
        medians={key: row["value_median"] for key, row in found.items()},
        intervals={
            key: (row["value_mean_low"], row["value_mean_high"])
            for key, row in found.items()
            if row["value_mean_low"] is not None
        },
        absent={key: source.reasons[cell].get(key, "not planned") for key in source.keys},
        reference=offered / 1e9 if offered and metric.is_rate else None,
    )


def _number(panel: Panel, key: tuple[str, str]) -> str:
    if key not in panel.medians:
        return f"{ABSENT} {panel.absent[key]}"
    runs = panel.runs[key]
    return f"{span(panel.medians[key], min(runs), max(runs))}, n{TIE}{len(runs)}"
