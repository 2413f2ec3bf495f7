"""The first answer: who is best for each path and traffic, and whether one can say so at all."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign
from cnibench.report.numbers import TIE, percent, short, span
from cnibench.report.words import BLOCKS_MIN, is_control

UNITS = {"throughput_gbits_per_s": "Gbit/s", "transactions_per_s": "per second"}

DECIDED, OPEN, FEW, ALONE, NOTHING = "decided", "open", "few", "alone", "nothing"


@dataclass(frozen=True)
class Verdict:
    """What can be said about one cell.

    Attributes:
        kind: One of the constants above.
        head: The verdict in a few words.
        plugins: The best one, or those that cannot be told apart.
        lines: The numbers behind it.
    """

    kind: str
    head: str
    plugins: tuple[str, ...]
    lines: tuple[str, ...]


Grid = Mapping[str, Mapping[str, Verdict]]
"""Verdicts by path and id of the traffic."""


def verdicts(campaign: Campaign, answers: Answers) -> Grid:
    """A verdict for each planned cell."""
    candidates = _by_cell(answers("fastest-plugin"))
    overheads = {(r["cell"], r["plugin"], r["profile"]): r for r in answers("overhead")}
    return {
        path: {
            traffic.id: _of_path(path, _verdict(candidates[cell], overheads))
            for traffic in campaign.traffic
            if (cell := f"{path}.{traffic.id}") in candidates
        }
        for path in campaign.paths
    }


def summary(grid: Grid) -> Iterator[str]:
    """The verdicts counted, paths without a plugin apart."""
    kinds = Counter(
        v.kind for path, row in grid.items() if not is_control(path) for v in row.values()
    )
    best = Counter(
        v.plugins[0]
        for path, row in grid.items()
        for v in row.values()
        if v.kind == DECIDED and not is_control(path)
    )
    total = sum(kinds.values())
    across = f"Of {total} combinations of path and traffic that go through a plugin,"
    if best:
        names = ", ".join(f"{plugin} ({count})" for plugin, count in best.most_common())
        yield f"{across} {kinds[DECIDED]} have one best plugin: {names}."
    else:
        yield f"{across} none has one best plugin that these runs can name."
    if kinds[OPEN]:
        yield f"In {kinds[OPEN]} the leading plugins cannot be told apart: their runs overlap."
    if kinds[FEW]:
        yield (
            f"In {kinds[FEW]} there are fewer than {BLOCKS_MIN} blocks, too few to rank: the "
            "highest median is listed, and may be chance."
        )
    if kinds[ALONE]:
        yield f"In {kinds[ALONE]} only one plugin has numbers."
    if kinds[NOTHING]:
        yield f"In {kinds[NOTHING]} nothing was measured."


def _by_cell(rows: Sequence[Row]) -> dict[str, list[Row]]:
    cells: dict[str, list[Row]] = {}
    for row in rows:
        cells.setdefault(row["cell"], []).append(row)
    return cells


def _of_path(path: str, verdict: Verdict) -> Verdict:
    """Where no plugin is in the way, none can be best."""
    if verdict.kind != DECIDED or not is_control(path):
        return verdict
    return replace(verdict, kind=OPEN, head=f"{verdict.head} is ahead, by chance or drift")


def _verdict(rows: Sequence[Row], overheads: Mapping[tuple[str, str, str], Row]) -> Verdict:
    ranked = [r for r in rows if r["blocks"] and not r["is_baseline"]]
    if not ranked:
        reasons = tuple(dict.fromkeys(str(r["note"]) for r in rows if not r["is_baseline"]))
        return Verdict(NOTHING, "not measured", (), reasons)
    leader = next((r for r in ranked if r["blocks"] >= BLOCKS_MIN), ranked[0])
    rivals = [r for r in ranked if r["plugin"] != leader["plugin"]]
    overhead = overheads.get((leader["cell"], leader["plugin"], leader["profile"]))
    lines = (*_numbers(leader, rivals), _against_baseline(overhead), *_limits(rows, leader))
    if not rivals:
        return Verdict(ALONE, f"only {leader['plugin']} has numbers", (leader["plugin"],), lines)
    if leader["blocks"] < BLOCKS_MIN:
        return Verdict(FEW, "too few blocks to rank", (leader["plugin"],), lines)
    return _judged(leader, rivals, lines)


def _judged(leader: Row, rivals: Sequence[Row], lines: tuple[str, ...]) -> Verdict:
    near = [r["plugin"] for r in rivals if r["rate_max"] >= leader["rate_min"]]
    placed = {r["plugin"] for r in rivals if r["blocks"] >= BLOCKS_MIN}
    lower = dict.fromkeys(r["plugin"] for r in rivals if r["plugin"] not in near)
    few = [plugin for plugin in lower if plugin not in placed]
    if few:
        lines += (f"lower, but too few blocks to rank: {', '.join(few)}",)
    if not near:
        return Verdict(DECIDED, leader["plugin"], (leader["plugin"],), lines)
    together = tuple(dict.fromkeys((leader["plugin"], *near)))
    behind = [plugin for plugin in lower if plugin in placed]
    lines += (f"behind: {', '.join(behind)}",) if behind else ()
    return Verdict(OPEN, f"cannot be told apart: {', '.join(together)}", together, lines)


def _numbers(leader: Row, rivals: Sequence[Row]) -> Iterator[str]:
    yield (
        f"{leader['plugin']}, {leader['profile']}, {UNITS[leader['metric']]}: "
        f"{span(leader['rate_median'], leader['rate_min'], leader['rate_max'])}, "
        f"n{TIE}{leader['blocks']}"
    )
    if rivals:
        rival = rivals[0]
        ratio = leader["rate_median"] / rival["rate_median"] if rival["rate_median"] else None
        over = "against" if ratio is None or ratio < 1 else "over"
        yield (
            f"{percent(ratio)} {over} {rival['plugin']}, {rival['profile']}: "
            f"{short(rival['rate_median'])}, n{TIE}{rival['blocks']}"
        )


def _limits(rows: Sequence[Row], leader: Row) -> Iterator[str]:
    measured = {r["plugin"] for r in rows if r["blocks"]}
    absent = dict.fromkeys(r["plugin"] for r in rows if r["plugin"] not in measured)
    if absent:
        yield f"no numbers: {', '.join(absent)}"
    yield from (part for part in (leader["note"] or "").split("; ") if "environment" in part)


def _against_baseline(row: Row | None) -> str:
    if row is None or row["rate_ratio"] is None:
        return str(row["reason"]) if row else "no baseline"
    against = f"{percent(row['rate_ratio'])} against the baseline"
    if row["pairs"] < 2:
        return f"{against}, {'1 pair' if row['pairs'] else 'no pairs'}"
    low, high = percent(row["rate_ratio_min"]), percent(row["rate_ratio_max"])
    return f"{against} ({low} to {high}), {row['pairs']} pairs"
