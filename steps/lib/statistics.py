"""What a number of independent runs can and cannot show. The mathematics is statsmodels'."""

from functools import cache

ALPHA = 0.05
POWER = 0.80

TYPICAL_CV_PERCENT = {
    "TCP, one stream": 3.1,
    "TCP, many streams": 0.5,
    "UDP, one stream": 2.6,
    "UDP, many streams": 1.8,
}
"""Median variation between independent runs of one configuration, on physical machines.

InfraBuilder 2024 (40 Gbit/s, 60-second runs, operating system reinstalled for each run),
re-analysed; a machine of one's own may be much noisier.
"""


@cache
def detectable_factor(runs_per_side: int) -> float | None:
    """Smallest difference that a plan sees, in standard deviations between runs.

    Two-sided two-sample t-test at 5 % with 80 % power, by the noncentral t distribution.

    Returns:
        The factor, or None where one run a side leaves no degree of freedom.
    """
    if runs_per_side < 2:
        return None
    # Takes two seconds to load, and most verbs do not need it.
    from statsmodels.stats.power import TTestIndPower

    power = TTestIndPower()
    return float(power.solve_power(nobs1=runs_per_side, alpha=ALPHA, power=POWER, ratio=1.0))


def detectable_percent(runs_per_side: int, cv_percent: float) -> float | None:
    """Smallest relative difference that a plan sees, in percent, at a given variation."""
    factor = detectable_factor(runs_per_side)
    return None if factor is None else factor * cv_percent
