"""Which charts a campaign has: tails of latency, scaling, throughput against CPU."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup

from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign
from cnibench.report.charts import Chart, Curve, draw

PERCENTILES = {
    "latency_us_p50": "50 %",
    "latency_us_p90": "90 %",
    "latency_us_p99": "99 %",
    "latency_us_p99_9": "99.9 %",
    "latency_us_p99_99": "99.99 %",
}
"""Columns of the question `tail-latency`, with their ticks."""

RATES = {"throughput_gbits_per_s": "Gbit/s", "transactions_per_s": "per second"}


def tails(campaign: Campaign, answers: Answers) -> list[Markup]:
    """A chart for each cell whose tool gives a histogram."""
    charts = []
    for cell, rows in _by(answers("tail-latency"), "cell").items():
        curves = [
            _curve(campaign, row, [(n, row[column]) for n, column in enumerate(PERCENTILES)])
            for row in rows
        ]
        ticks = tuple(PERCENTILES.values())
        charts.append(("tail", cell, "share of transactions", "µs at most", curves, ticks))
    return list(_drawn(charts))


def scaling(campaign: Campaign, answers: Answers) -> list[Markup]:
    """A chart for each series of cells that differ in one number alone."""
    charts = []
    for (first_cell, dimension, metric), rows in _series(answers("scaling")).items():
        candidates: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            candidates.setdefault((row["plugin"], row["profile"]), []).append(row)
        curves = [
            _curve(campaign, of[0], [(r["value"], r["rate_median"]) for r in of])
            for of in candidates.values()
        ]
        name = f"from {first_cell} on"
        charts.append((f"scaling-{dimension}", name, dimension, RATES[metric], curves, ()))
    return list(_drawn(charts))


def against_cpu(campaign: Campaign, answers: Answers) -> list[Markup]:
    """A chart for each cell of streams: what arrives, and the CPUs that it takes."""
    charts = []
    for cell, rows in _by(answers("cpu-for-throughput"), "cell").items():
        curves = [
            _curve(campaign, row, [(row["cpus_busy"], row["throughput_gbits_per_s"])])
            for row in rows
        ]
        charts.append(("cpu", cell, "CPUs busy, all nodes", "Gbit/s", curves, ()))
    return list(_drawn(charts))


def _by(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row[column]), []).append(row)
    return found


def _series(rows: Iterable[Row]) -> Mapping[tuple[str, str, str], list[Row]]:
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["metric"] is not None:
            key = (row["first_cell"], row["dimension"], row["metric"])
            found.setdefault(key, []).append(row)
    return found


def _curve(campaign: Campaign, row: Row, points: Sequence[tuple[float, float | None]]) -> Curve:
    known = sorted((float(x), float(y)) for x, y in points if x is not None and y is not None)
    return Curve(row["plugin"], campaign.profiles.index(row["profile"]), known)


Drawable = tuple[str, str, str, str, Sequence[Curve], Sequence[str]]


def _drawn(charts: Iterable[Drawable]) -> Iterator[Markup]:
    """Those with a number, in order; what was not measured stands in the other plots."""
    for number, (kind, title, x_label, y_label, curves, ticks) in enumerate(charts):
        shown = [curve for curve in curves if curve.points]
        if shown:
            yield draw(Chart(f"{kind}-{number}", title, x_label, y_label, shown, ticks))
