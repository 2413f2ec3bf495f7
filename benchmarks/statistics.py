"""How honest comparisons are: false alarms between identical sides, and differences found.

Whole comparisons of eight cells are drawn thousands of times with the variation between runs that
physical machines were published with. The same data is judged by four rules, side by side.
"""

import gc
import random
from collections.abc import Callable

from benchmarks.report import Figure, finish, options
from steps.lib.comparing.history import Point, change_points
from steps.lib.comparing.inference import Verdict, blocks_needed, holm, judge, log_sd_of, welch
from steps.lib.statistics import POWER, TYPICAL_CV_PERCENT

Sides = list[tuple[list[float], list[float]]]

CELLS_PER_KIND = 2
MARGIN_PERCENT = 5.0
DIFFERENCE_PERCENT = 5.0
BLOCKS = 5
HEAVY = 0.1
"""Share of runs in the heavy-tailed series that vary three times as much as the others."""


def draw(dice: random.Random, blocks: int, ratio: float, is_heavy: bool) -> Sides:
    """One comparison: for each cell the blocks of both sides; only the first cell differs."""
    sides: Sides = []
    for n, cv in enumerate(cv for cv in TYPICAL_CV_PERCENT.values() for _ in range(CELLS_PER_KIND)):
        first, second = (
            [level * _value(dice, cv, is_heavy) for _ in range(blocks)]
            for level in (1.0, ratio if n == 0 else 1.0)
        )
        sides.append((first, second))
    return sides


def _value(dice: random.Random, cv_percent: float, is_heavy: bool) -> float:
    factor = 3 if is_heavy and dice.random() < HEAVY else 1
    return max(0.01, dice.gauss(1, factor * cv_percent / 100))


def ours(sides: Sides) -> list[bool]:
    """Which cells `cnibench compare` calls regressed or improved."""
    effects = [welch(*pair) for pair in sides]
    verdicts = [
        judge(effect, p, MARGIN_PERCENT, True)
        for effect, p in zip(effects, holm([e.p for e in effects]), strict=True)
    ]
    return [verdict in (Verdict.regressed, Verdict.improved) for verdict in verdicts]


def three_runs(sides: Sides) -> list[bool]:
    """Means of three runs differ by more than 5 %."""
    return [abs(sum(b[:3]) / sum(a[:3]) - 1) > 0.05 for a, b in sides]


def symmetric_difference(sides: Sides) -> list[bool]:
    """Rule of k8s-netperf: means differ by more than 10 % of their mean, TCP with one stream only.

    It looks in one direction: second side slower.
    """
    found = [False] * len(sides)
    for n, (a, b) in enumerate(sides[:CELLS_PER_KIND]):
        first, second = sum(a) / len(a), sum(b) / len(b)
        found[n] = 100 * (first - second) / ((first + second) / 2) > 10
    return found


def change_point(sides: Sides) -> list[bool]:
    """Change-point detection alone, on the blocks of both sides in their order."""
    return [
        bool(change_points([Point(str(n), value, {}) for n, value in enumerate((*a, *b))]))
        for a, b in sides
    ]


RULES: dict[str, Callable[[Sides], list[bool]]] = {
    "cnibench compare": ours,
    "3 runs, mean, 5 %": three_runs,
    "k8s-netperf": symmetric_difference,
    "change points alone": change_point,
}


def alarms(seed: int, times: int, is_heavy: bool) -> dict[str, float]:
    """Share of whole comparisons of identical sides with any alarm, in percent, by rule."""
    dice = random.Random(seed)
    counts = dict.fromkeys(RULES, 0)
    for _ in range(times):
        sides = draw(dice, BLOCKS, 1.0, is_heavy)
        for name, rule in RULES.items():
            counts[name] += any(rule(sides))
    return {name: 100 * count / times for name, count in counts.items()}


def found(seed: int, times: int, blocks: int) -> dict[str, float]:
    """Share of comparisons that find a difference of the first cell, in percent, by rule."""
    dice = random.Random(seed)
    counts = dict.fromkeys(RULES, 0)
    for _ in range(times):
        sides = draw(dice, blocks, 1 - DIFFERENCE_PERCENT / 100, False)
        for name, rule in RULES.items():
            counts[name] += rule(sides)[0]
    return {name: 100 * count / times for name, count in counts.items()}


def main() -> None:
    """Draw, judge, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--times", type=int, default=4000, help="comparisons that are drawn")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws")
    arguments = parser.parse_args()
    cv = next(iter(TYPICAL_CV_PERCENT.values()))
    blocks = blocks_needed(DIFFERENCE_PERCENT, log_sd_of(cv), 8)
    assert blocks
    ours(draw(random.Random(0), BLOCKS, 1.0, False))
    # statsmodels collects garbage in each call: not that of modules, please.
    gc.freeze()
    figures = []
    for kind in ("normal", "heavy-tailed"):
        shares = alarms(arguments.seed, arguments.times, kind == "heavy-tailed")
        for name, share in shares.items():
            text = f"false alarms, {BLOCKS} blocks, {kind}: {name}"
            figures.append(Figure(text, share, "% of comparisons", 5.0))
    for name, share in found(arguments.seed, arguments.times, blocks).items():
        text = f"missed, {DIFFERENCE_PERCENT:g} % less in one cell, {blocks} planned blocks: {name}"
        figures.append(Figure(text, 100 - share, "% of comparisons", 100 * (1 - POWER)))
    finish("statistics", figures, arguments.json)


if __name__ == "__main__":
    main()
