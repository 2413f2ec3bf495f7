"""Coverage and validity: what became of every planned cell, and what the gates found."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign

STATUSES = ("ok", "drifted", "invalid", "noisy", "failed", "unsupported", "missing")
"""As the tables name them; a cell without a status here would be a mistake of ours."""

REASONS_MAX = 40


@dataclass(frozen=True)
class Square:
    """One square of the heat map: how many blocks are ok of those planned, and what of the rest."""

    kind: str
    ok: int
    planned: int
    rest: tuple[str, ...]


@dataclass(frozen=True)
class Reason:
    """Runs that gave no number for one reason."""

    status: str
    reason: str
    plugins: tuple[str, ...]
    cells: tuple[str, ...]
    blocks: int


HeatMap = Mapping[tuple[str, str], Mapping[str, Square]]
"""Squares by plugin and profile, then by cell."""


def counts(outcomes: Sequence[Row]) -> dict[tuple[str, str, str], Counter[str]]:
    """Blocks by plugin, profile and cell, then by status, whatever the reasons."""
    found: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in outcomes:
        found[row["plugin"], row["profile"], row["cell"]][row["status"]] += row["blocks"]
    return found


def heat_map(campaign: Campaign, outcomes: Sequence[Row]) -> HeatMap:
    """A square for each planned cell of each plugin and profile."""
    squares: dict[tuple[str, str], dict[str, Square]] = {
        (plugin, profile): {} for plugin in campaign.plugins for profile in campaign.profiles
    }
    for (plugin, profile, cell), found in counts(outcomes).items():
        squares[plugin, profile][cell] = _square(found)
    return squares


def _square(found: Mapping[str, int]) -> Square:
    ok, planned = found.get("ok", 0), sum(found.values())
    rest = tuple(f"{found[s]} {s}" for s in STATUSES if s != "ok" and s in found)
    if ok == planned:
        kind = "all"
    elif set(found) == {"unsupported"}:
        kind, rest = "never", ("unsupported",)
    else:
        kind = "some" if ok else "no"
    return Square(kind, ok, planned, rest)


def totals(outcomes: Sequence[Row]) -> dict[str, int]:
    """Runs by status, every status named."""
    return {s: sum(r["blocks"] for r in outcomes if r["status"] == s) for s in STATUSES}


def reasons(outcomes: Sequence[Row]) -> list[Reason]:
    """What gave no number and why, the most frequent first."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in outcomes:
        if row["status"] != "ok":
            why = row["reason"] or "planned, not run yet"
            found.setdefault((row["status"], why), []).append(row)
    listed = [
        Reason(
            status,
            why,
            tuple(sorted({r["plugin"] for r in rows})),
            tuple(sorted({r["cell"] for r in rows})),
            sum(r["blocks"] for r in rows),
        )
        for (status, why), rows in found.items()
    ]
    return sorted(listed, key=lambda r: (-r.blocks, r.status, r.reason))


@dataclass(frozen=True)
class Gates:
    """What the gates found: what failed or was given up, and how many checks passed."""

    findings: tuple[Row, ...]
    passed: int


def gates(answers: Answers) -> Gates:
    """Findings that cost numbers, the most frequent first."""
    rows = answers("validity")
    bad = [r for r in rows if r["verdict"] not in ("pass", "not_applicable")]
    passed = sum(r["findings"] for r in rows if r["verdict"] == "pass")
    return Gates(tuple(sorted(bad, key=lambda r: (-r["findings"], r["gate"]))), passed)
