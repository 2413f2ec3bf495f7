"""The page of a comparison: what differs, by how much, how sure, and what cannot be compared."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnibench.compare_forms import cells, described, summary
from cnibench.report.compared_plots import CHANGED, SIGNS, geometric, plots
from cnibench.report.numbers import ABSENT, MINUS, TIE, counted, percent, short
from cnibench.report.plots import swatch
from steps.lib.comparing.compare import Comparison, Line
from steps.lib.comparing.environments import Attribute
from steps.lib.comparing.inference import Verdict
from steps.lib.comparing.metrics import find_metrics

LISTED_MAX = 12
NAMED_MAX = 4

KINDS = {Verdict.improved: "up", Verdict.regressed: "down", Verdict.not_comparable: "nothing"}
WORDS = {Verdict.not_comparable: "not comparable"}


@dataclass(frozen=True)
class Reason:
    """Why lines could not be compared."""

    reason: str
    side: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A line in words. Means are geometric, which the ratio is made of."""

    line: Line
    verdict: str
    kind: str
    metric: str
    means: tuple[str, str]
    change: str
    interval: str
    p: str
    remark: str


def contents(compared: Comparison, environments: Sequence[Sequence[Attribute]]) -> dict[str, Any]:
    """Everything that the template names."""
    rows = [_row(line) for line in compared.lines]
    changed = sorted((r for r in rows if r.line.verdict in CHANGED), key=_size)
    labels = [side.label for side in compared.sides]
    drawn, left_out = plots(compared)
    return {
        "title": f"{', '.join(labels[1:])} against {labels[0]}",
        "labels": labels,
        "sides": described(compared),
        "summary": list(_summary(compared, environments)),
        "changed": changed,
        "listed_max": LISTED_MAX,
        "reasons": _reasons(compared.lines),
        "lost": [r for r in rows if r.line.is_lost],
        "environments": list(zip(labels[1:], map(_differing, environments), strict=True)),
        "fact": fact,
        "known": sum(map(len, environments)),
        "legend": [(swatch("side", n), label) for n, label in enumerate(labels)],
        "plots": drawn,
        "left_out": left_out,
        "rows": rows,
        "tests": summary(compared),
    }


def _size(row: Row) -> tuple[int, float]:
    """Regressions first, great changes first."""
    assert row.line.effect
    size = abs(math.log(row.line.effect.ratio))
    return CHANGED.index(row.line.verdict), -size


def _row(line: Line) -> Row:
    *_, change, interval, p, _, remark = cells(line)
    (metric,) = find_metrics((line.metric,))
    return Row(
        line,
        f"{SIGNS.get(line.verdict, '')} {WORDS.get(line.verdict, line.verdict)}".strip(),
        KINDS.get(line.verdict, ""),
        f"{line.metric}, {metric.unit}",
        (_mean(line.values[0]), _mean(line.values[1])),
        percent(line.effect.ratio) if line.effect else change,
        interval.replace("-", MINUS),
        p,
        remark,
    )


def _mean(values: Sequence[float]) -> str:
    return f"{short(geometric(values))}, n{TIE}{len(values)}" if values else ABSENT


def _summary(compared: Comparison, environments: Sequence[Sequence[Attribute]]) -> Iterator[str]:
    counts = {v: sum(line.verdict is v for line in compared.lines) for v in Verdict}
    found = [f"{counts[v]} {WORDS.get(v, v)}" for v in (*CHANGED, *Verdict) if counts[v]]
    of = counted(len(compared.lines), "comparison")
    yield f"Of {of}, cell by cell: {', '.join(dict.fromkeys(found))}."
    if not compared.family:
        yield "Nothing could be compared, so nothing is known of any difference."
    elif not any(counts[v] for v in CHANGED):
        yield "No difference is shown." + (
            " What is inconclusive may differ all the same." if counts[Verdict.inconclusive] else ""
        )
    needed = [line.needed for line in compared.lines if line.needed]
    if needed:
        yield (
            f"{counted(max(needed), 'block')} a side would show a difference as great as the "
            f"margin in {len(needed)} of those that are inconclusive; see the remarks at each."
        )
    lost = sum(line.is_lost for line in compared.lines)
    if lost:
        yield f"{counted(lost, 'cell')} that the first side has could not be measured any more."
    yield _of_environments(environments)


def _of_environments(environments: Sequence[Sequence[Attribute]]) -> str:
    known = sum(map(len, environments))
    if not known:
        return "Nothing is on record of the environments."
    differing = [a for found in environments for a in _differing(found)]
    if not differing:
        return f"The environments are equal in all that is on record ({counted(known, 'fact')})."
    names = list(dict.fromkeys(f"{a.name} of {a.whose or 'the campaign'}" for a in differing))
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return (
        f"{len(differing)} of {counted(known, 'fact')} on record of the environments differ: "
        f"{', '.join(names[:NAMED_MAX])}{more}."
    )


def fact(attribute: Attribute, value: str | None) -> str:
    """A value in words. Settings that a side's profile set are not those of its environment."""
    if value is not None:
        return value
    return "set by a profile, or not known" if attribute.name.startswith("setting ") else ABSENT


def _differing(attributes: Sequence[Attribute]) -> list[Attribute]:
    return [a for a in attributes if a.is_different]


def _reasons(lines: Sequence[Line]) -> list[Reason]:
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line.effect is None:
            found.setdefault((line.reason, line.second), []).append(line.cell)
    listed = [Reason(*key, tuple(dict.fromkeys(of))) for key, of in found.items()]
    return sorted(listed, key=lambda r: (-len(r.cells), r.reason))
