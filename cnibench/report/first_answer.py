"""The first answer: who is best for each path and traffic, and whether one can say so at all."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cnibench.report.answers import Answers, Row
from cnibench.report.campaign import Campaign
from cnibench.report.numbers import TIE, counted, of_pairs, percent, span
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
    across = f"Of {counted(total, 'combination')} of path and traffic that go through a plugin,"
    if best:
        names = ", ".join(f"{plugin} ({count})" for plugin, count in best.most_common())
        yield f"{across} {kinds[DECIDED]} have one best plugin: {names}."
    else:
        yield f"{across} none has one best plugin that these runs can name."
    if kinds[OPEN]:
        yield f"In {kinds[OPEN]} the leading plugins cannot be told apart."
    if kinds[FEW]:
        yield (
            f"In {kinds[FEW]} the fastest has fewer than {BLOCKS_MIN} blocks, too few to rank: it "
            "may be ahead by chance."
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
    """By the ranks of the question; a plugin is best where nothing but itself ranks first."""
    ranked = [r for r in rows if r["rank"]]
    if not ranked:
        reasons = tuple(dict.fromkeys(str(r["note"]) for r in rows if not r["is_baseline"]))
        return Verdict(NOTHING, "not measured", (), reasons)
    leader = next((r for r in ranked if r["is_leader"]), ranked[0])
    best = str(leader["plugin"])
    rivals = [r for r in ranked if r["plugin"] != best]
    overhead = overheads.get((leader["cell"], leader["plugin"], leader["profile"]))
    lines = (*_numbers(leader, rivals), _against_baseline(overhead), *_limits(rows, leader))
    if not rivals:
        return Verdict(ALONE, f"only {best} has numbers", (best,), lines)
    first = tuple(dict.fromkeys((best, *(r["plugin"] for r in rivals if r["rank"] == 1))))
    if all(r["is_at_stated_rate"] for r in ranked if r["rank"] == 1) and len(first) > 1:
        return Verdict(OPEN, f"carry the stated rate: {', '.join(first)}", first, lines)
    if leader["blocks"] < BLOCKS_MIN:
        return Verdict(FEW, "too few blocks to rank", first, lines)
    if len(first) == 1:
        return Verdict(DECIDED, best, first, lines)
    return Verdict(OPEN, f"cannot be told apart: {', '.join(first)}", first, lines)


def _numbers(leader: Row, rivals: Sequence[Row]) -> Iterator[str]:
    yield (
        f"{leader['plugin']}, {leader['profile']}, {UNITS[leader['metric']]}: "
        f"{span(leader['rate_median'], leader['rate_min'], leader['rate_max'])}, "
        f"n{TIE}{leader['blocks']}"
    )
    if rivals:
        nearest = max(rivals, key=lambda r: r["rate_ratio"] or 0.0)
        yield f"{_ahead(nearest)}, n{TIE}{nearest['blocks']}"
    behind = dict.fromkeys(r["plugin"] for r in rivals)
    behind = dict.fromkeys(p for p in behind if _is_behind(p, rivals))
    if behind and len(behind) < len({r["plugin"] for r in rivals}):
        yield f"behind: {', '.join(behind)}"
    few = [r for r in rivals if r["rank"] == 1 and r["blocks"] < BLOCKS_MIN]
    if few:
        listed = "; ".join(f"{r['plugin']}, {r['profile']}" for r in few)
        yield f"fewer than {BLOCKS_MIN} blocks: {listed}"


def _is_behind(plugin: str, rivals: Sequence[Row]) -> bool:
    return all(r["rank"] > 1 for r in rivals if r["plugin"] == plugin)


def _ahead(rival: Row) -> str:
    """By how much the leader is ahead, and how sure that is: the question's ratio, turned over."""
    over = f"over {rival['plugin']}, {rival['profile']}"
    ratio, low, high = (rival[f"rate_ratio{part}"] for part in ("", "_low", "_high"))
    if not ratio:
        return f"no ratio {over}"
    interval = f"{percent(1 / high)} to {percent(1 / low)}" if low else "no interval"
    return f"{percent(1 / ratio)} ({interval}) {over}"


def _limits(rows: Sequence[Row], leader: Row) -> Iterator[str]:
    measured = {r["plugin"] for r in rows if r["blocks"]}
    absent = dict.fromkeys(r["plugin"] for r in rows if r["plugin"] not in measured)
    if absent:
        yield f"no numbers: {', '.join(absent)}"
    yield from (part for part in (leader["note"] or "").split("; ") if "environment" in part)


def _against_baseline(row: Row | None) -> str:
    if row is None or row["rate_ratio"] is None:
        return str(row["reason"]) if row else "no baseline"
    if row["rate_ratio_of_pairs"] is None:
        return f"{percent(row['rate_ratio'])} against the baseline, no pairs"
    return f"{of_pairs(row)} against the baseline, {counted(row['pairs'], 'pair')}"
