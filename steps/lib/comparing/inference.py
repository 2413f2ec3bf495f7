"""What independent blocks say about a ratio. The distributions are scipy's, Holm is statsmodels'.

One value is one block. Everything is on the scale of logarithms, so an effect is a ratio. Sources
and reasons are in ``docs/method/statistics.md``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from steps.lib.statistics import ALPHA, POWER

BLOCKS_MAX = 10_000
"""More blocks than anybody plans: where the search for a number of blocks ends."""

SHIFT_MAX = 30.0
"""Standard errors between two sides beyond which only the estimate of the error still varies."""


class Verdict(StrEnum):
    """What a comparison of one cell comes to."""

    not_comparable = "not_comparable"
    equal = "equal"
    regressed = "regressed"
    improved = "improved"
    inconclusive = "inconclusive"


@dataclass(frozen=True)
class Effect:
    """Second side / first side. ``low`` and ``high`` are of 95 %, ``equal_*`` of 90 %."""

    ratio: float
    low: float
    high: float
    equal_low: float
    equal_high: float
    p: float
    log_sd: float


def welch(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Welch's t-test on logarithms of two sides of at least two positive finite values.

    Where no value of either side varies, the interval is a point.

    Raises:
        ValueError: fewer than two values, or one that has no logarithm.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("a side needs two blocks")
    if not all(math.isfinite(v) and v > 0 for v in (*first, *second)):
        raise ValueError("a value has no logarithm")
    from scipy import special  # Most verbs do not need it.

    a, b = ([math.log(value / first[0]) for value in side] for side in (first, second))
    difference = sum(b) / len(b) - sum(a) / len(a)
    variances = [_variance(side) / len(side) for side in (a, b)]
    sd = math.sqrt((_variance(a) + _variance(b)) / 2)
    error = math.sqrt(sum(variances))
    if error < 1e-12:
        ratio = math.exp(difference)
        return Effect(ratio, ratio, ratio, ratio, ratio, float(abs(difference) < 1e-12), sd)
    freedom = error**4 / sum(v**2 / (len(s) - 1) for v, s in zip(variances, (a, b), strict=True))
    wide, narrow = (special.stdtrit(freedom, 1 - level) * error for level in (ALPHA / 2, ALPHA))
    bounds = (difference + shift for shift in (-wide, wide, -narrow, narrow))
    p = float(2 * special.stdtr(freedom, -abs(difference) / error))
    low, high, equal_low, equal_high = (math.exp(bound) for bound in bounds)
    return Effect(math.exp(difference), low, high, equal_low, equal_high, p, sd)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number, in the same order; none for none."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests  # Takes two seconds to load.

    return [float(p) for p in multipletests(p_values, alpha=ALPHA, method="holm")[1]]


def judge(
    effect: Effect, p_adjusted: float, margin_percent: float, higher_is_better: bool
) -> Verdict:
    """The verdict; the first rule that holds decides.

    Equal: the 90 % interval lies within the margin, which are two one-sided tests at 5 %. Then:
    regressed or improved by the adjusted p value. Else inconclusive, which is not equal.
    """
    margin = margin_percent / 100
    if effect.equal_low >= 1 / (1 + margin) and effect.equal_high <= 1 + margin:
        return Verdict.equal
    if p_adjusted >= ALPHA:
        return Verdict.inconclusive
    return Verdict.improved if (effect.ratio > 1) == higher_is_better else Verdict.regressed


def blocks_needed(percent: float, log_sd: float, comparisons: int = 1) -> int | None:
    """Blocks a side that show a difference of ``percent`` with a power of 80 %.

    The level is shared by all comparisons (Bonferroni), which is what Holm asks of the first.

    Args:
        percent: Difference of the means.
        log_sd: Standard deviation of the logarithms between blocks, as ``Effect.log_sd``.
        comparisons: Size of the family.

    Returns:
        The number, or None above ``BLOCKS_MAX``.
    """
    if log_sd <= 0:
        return 2
    size = math.log1p(percent / 100) / log_sd
    low, high = 2, 2
    while _power(high, size, comparisons) < POWER:
        low, high = high, high * 2
        if high > BLOCKS_MAX:
            return None
    while low < high:
        middle = (low + high) // 2
        enough = _power(middle, size, comparisons) >= POWER
        low, high = (low, middle) if enough else (middle + 1, high)
    return high


def log_sd_of(cv_percent: float) -> float:
    """Standard deviation of the logarithms of log-normal values that vary so."""
    return math.sqrt(math.log1p((cv_percent / 100) ** 2))


def _power(blocks: int, size: float, comparisons: int) -> float:
    """Chance that two sides of ``blocks``, ``size`` standard deviations apart, differ."""
    from scipy import stats  # Takes a second to load.

    freedom, shift = 2 * blocks - 2, size * math.sqrt(blocks / 2)
    bound = stats.t.ppf(1 - ALPHA / comparisons / 2, freedom)
    if shift > SHIFT_MAX:  # scipy's distribution fails there; the numerator is as good as constant.
        return float(stats.chi2.cdf(freedom * (shift / bound) ** 2, freedom))
    return float(stats.nct.sf(bound, freedom, shift))


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
