"""What the template shows, section by section."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cnibench.report import coverage, curves, first_answer, panels, tables, words
from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign, Traffic
from cnibench.report.plots import swatch
from steps.lib.store import keys

LIFE = ("install_s", "ready_s", "remove_s", "idle_busy_cpus")


@dataclass(frozen=True)
class Line:
    """One row of a table over all cells: its path heads ``span`` rows, from the first one on."""

    path: str
    span: int
    traffic: Traffic
    cell: str


def contents(campaign: Campaign, answers: Answers) -> dict[str, Any]:
    """Everything that the template names."""
    outcomes = answers("coverage-by-cell")
    verdicts = first_answer.verdicts(campaign, answers)
    return {
        "campaign": campaign,
        "words": words,
        "notices": list(words.notices(campaign, outcomes, answers("environment"))),
        "lines": lines(campaign, outcomes),
        "legends": {name: legend(campaign, name) for name in ("speed", "cost", "life")},
        "verdicts": verdicts,
        "summary": list(first_answer.summary(verdicts)),
        "speed": list(panels.groups(campaign, answers, panels.SPEED)),
        "cost": list(panels.groups(campaign, answers, panels.COST)),
        "tails": curves.tails(campaign, answers),
        "scaling": curves.scaling(campaign, answers),
        "against_cpu": curves.against_cpu(campaign, answers),
        "features": tables.features(campaign, answers("feature-table")),
        "cycles": list(tables.cycles(campaign, answers("cycles-per-packet"))),
        "cycles_sources": tables.cycles_sources(answers("cycles-per-packet")),
        "gains": list(tables.gains(campaign, answers("profile-gain"))),
        "heat_map": coverage.heat_map(campaign, outcomes),
        "totals": coverage.totals(outcomes),
        "reasons": coverage.reasons(outcomes),
        "gates": coverage.gates(answers),
        "life": [(r, tables.spans(r, LIFE)) for r in answers("plugin-life")],
        "starts": tables.starts(campaign, answers("endpoint-start")),
        "nodes": answers("environment"),
        "raw": keys.key(
            "raw", campaign=campaign.name, block="BLOCK", cell="CELL", measurement_id="ID"
        ),
        "settings": answers("tuned-settings"),
        "limits": list(words.limits(campaign)),
    }


def legend(campaign: Campaign, name: str) -> list[tuple[Markup, str]]:
    """Marks of the profiles, for the section of that name."""
    return [(swatch(f"{name}-mark", n), p) for n, p in enumerate(campaign.profiles)]


def lines(campaign: Campaign, outcomes: Sequence[Row]) -> list[Line]:
    """The planned cells, path by path."""
    planned = {r["cell"] for r in outcomes}
    found = []
    for path in campaign.paths:
        here = [(t, c) for t in campaign.traffic if (c := f"{path}.{t.id}") in planned]
        for number, (traffic, cell) in enumerate(here):
            found.append(Line(path, 0 if number else len(here), traffic, cell))
    return found
