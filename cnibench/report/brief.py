"""The report in brief, for a terminal or a pull request: its first screen, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from cnibench import show
from cnibench.report import coverage, first_answer, words
from cnibench.report.answers import Answers
from cnibench.report.campaign import Campaign, choose
from cnibench.report.numbers import utc

REASONS_MAX = 5
LINES_SHOWN = 2

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""


@dataclass(frozen=True)
class Brief:
    """Sentences and tables of it."""

    title: str
    facts: str
    notices: tuple[str, ...]
    summary: tuple[str, ...]
    verdicts: Table
    missing: Table


def brief(database: duckdb.DuckDBPyConnection, campaign: str | None) -> Brief:
    """The brief report of a campaign; None takes the latest.

    Raises:
        InputError: the store holds no such campaign.
    """
    chosen = choose(database, campaign)
    answers = Answers(database, chosen.name)
    grid = first_answer.verdicts(chosen, answers)
    outcomes = answers("coverage-by-cell")
    return Brief(
        chosen.title,
        _facts(chosen),
        tuple(words.notices(chosen, outcomes, answers("environment"))),
        tuple(first_answer.summary(grid)),
        _verdicts(chosen, grid),
        _missing(coverage.reasons(outcomes)),
    )


def _facts(campaign: Campaign) -> str:
    ran = "not run yet"
    if campaign.began and campaign.ended:
        ran = f"run from {utc(campaign.began)} to {utc(campaign.ended)} UTC"
    size = words.size(campaign)
    return f"Campaign {campaign.name}, {ran}, target {campaign.target}: {size}."


def _verdicts(campaign: Campaign, grid: first_answer.Grid) -> Table:
    rows = [
        (path, traffic.label, verdict.head, "; ".join(verdict.lines[:LINES_SHOWN]))
        for path in campaign.paths
        for traffic in campaign.traffic
        if (verdict := grid[path].get(traffic.id))
    ]
    return ("path", "traffic", "best", "by the numbers"), rows


def _missing(reasons: Sequence[coverage.Reason]) -> Table:
    rows = [
        (r.status, str(r.blocks), r.reason, ", ".join(r.plugins)) for r in reasons[:REASONS_MAX]
    ]
    return ("left out", "runs", "why", "plugins"), rows


def markdown(found: Brief) -> str:
    """For a pull request."""
    parts = [f"# {found.title}", found.facts, *(f"> {text}" for text in found.notices)]
    parts.append("\n".join(f"* {sentence}" for sentence in found.summary))
    parts += [show.markdown(*table) for table in (found.verdicts, found.missing) if table[1]]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def show_table(found: Brief) -> None:
    """On the terminal."""
    for text in (found.title, found.facts, *found.notices, *found.summary):
        show.out.print(text, highlight=False, soft_wrap=True)
    for columns, rows in (found.verdicts, found.missing):
        if rows:
            show.rows(columns, rows, show.Format.table)
