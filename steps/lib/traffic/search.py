"""Searching the highest rate that loses no more than stated: what to try next, when to end.

A binary search for the throughput of RFC 2544, section 26.1, on a scale of ratios. FD.io CSIT calls
it a no-drop rate where no loss is allowed, a partial-drop rate where some is. As in the MLRsearch
draft of the IETF, one short trial that passes proves little: a rate counts when several longer ones
pass at it, and one that fails later takes the rate away again.
"""

from dataclasses import dataclass, field
from math import sqrt
from typing import Literal

from steps.lib.models import NoDropSearch

Verdict = Literal["pass", "loss", "not-offered"]

OFFERED_MIN = 0.99
"""Of the stated rate: a generator that sends less has not tried it."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trial:
    """One run at one rate."""

    rate_bits_per_s: int
    duration_s: int
    confirms: bool
    sent_bits_per_s: float | None
    lost_percent: float | None
    verdict: Verdict


@dataclass
class Search:
    """One search under way. ``trials`` are in the order in which they were run."""

    asked: NoDropSearch
    trials: list[Trial] = field(default_factory=list)

    def next(self) -> tuple[int, bool] | None:
        """Rate of the next trial and whether it confirms; None at the end."""
        if len(self.trials) >= self.asked.trials_max or self.found is not None:
            return None
        failed, passed = self.failed_bits_per_s, self._passed()
        if not self.trials:
            return self.asked.rounded(self.asked.rate_bits_per_s_max), False
        if passed is None:
            low = self.asked.rounded(self.asked.rate_bits_per_s_min)
            return None if failed is not None and failed <= low else (low, False)
        if failed is None or failed <= passed * (1 + self.asked.resolution_percent / 100):
            return passed, True
        middle = self.asked.rounded(int(sqrt(passed * failed)))
        return (passed, True) if middle in (passed, failed) else (middle, False)

    def tell(self, trial: Trial) -> None:
        """Note how a trial went."""
        self.trials.append(trial)

    @property
    def failed_bits_per_s(self) -> int | None:
        """The lowest rate that failed in any trial; None if none did."""
        return min((t.rate_bits_per_s for t in self.trials if t.verdict != "pass"), default=None)

    @property
    def found(self) -> int | None:
        """The rate that passed in as many confirmations as asked for, and failed in none."""
        passed = self._passed()
        enough = passed is not None and self.confirmations >= self.asked.confirmations
        return passed if enough else None

    @property
    def confirmations(self) -> int:
        """How many confirmations passed at the highest rate that has not failed."""
        rate = self._passed()
        return sum(t.confirms and t.rate_bits_per_s == rate for t in self.trials)

    @property
    def pass_share_low(self) -> float:
        """Lower end of the share of such runs that pass, where all of the confirmations did.

        One-sided interval of Clopper and Pearson at 95 %: three of three say 37 %, ten of ten 74 %.
        """
        passed = self.confirmations
        return float((1 - CONFIDENCE) ** (1 / passed)) if passed else 0.0

    @property
    def limited_by(self) -> Literal["loss", "generator", "maximum"]:
        """What keeps the rate from being higher."""
        rate = self.failed_bits_per_s
        if rate is None:
            return "maximum"
        failed = {t.verdict for t in self.trials if t.rate_bits_per_s == rate}
        return "loss" if "loss" in failed else "generator"

    def _passed(self) -> int | None:
        """The highest rate that passed, below every one that failed."""
        failed = self.failed_bits_per_s
        return max(
            (
                t.rate_bits_per_s
                for t in self.trials
                if t.verdict == "pass" and (failed is None or t.rate_bits_per_s < failed)
            ),
            default=None,
        )


def verdict_of(
    asked: NoDropSearch, rate_bits_per_s: int, sent: float | None, lost_percent: float | None
) -> Verdict:
    """Of one trial. A generator that did not offer the rate says nothing of the path."""
    if sent is None or sent < OFFERED_MIN * rate_bits_per_s:
        return "not-offered"
    return "pass" if (lost_percent or 0.0) <= asked.loss_percent_max else "loss"
