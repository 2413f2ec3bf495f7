"""Numbers as people read them. What is not there is a dash, never a zero."""

from collections.abc import Mapping
from datetime import datetime
from math import floor, log10
from typing import Any

ABSENT = "–"
MINUS = "\N{MINUS SIGN}"
TIE = "\N{NO-BREAK SPACE}"
"""Keeps a number and its unit on one line."""


def short(value: float | None) -> str:
    """Three significant digits, thousands separated: 0.0123, 4.50, 78.9, 12,300."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    digits = 2 - floor(log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, 2 - floor(log10(abs(rounded))))}f}"


def span(middle: float | None, low: float | None, high: float | None) -> str:
    """A median with its range; one run has none."""
    if middle is None:
        return ABSENT
    return short(middle) if low == high else f"{short(middle)} ({short(low)}–{short(high)})"


def percent(ratio: float | None) -> str:
    """A ratio as a signed change: 1.034 is +3.4 %."""
    if ratio is None:
        return ABSENT
    change = round((ratio - 1) * 100, 1)
    if change == 0:
        return f"0.0{TIE}%"
    digits = 1 if abs(change) < 100 else 0
    return f"{change:+,.{digits}f}{TIE}%".replace("-", MINUS)


def of_pairs(row: Mapping[str, Any]) -> str:
    """The mean ratio of a row's pairs of blocks with its 95 % interval; one pair has none."""
    change = percent(row["rate_ratio_of_pairs"])
    if row["rate_ratio_low"] is None:
        return change
    return f"{change} ({percent(row['rate_ratio_low'])} to {percent(row['rate_ratio_high'])})"


def counted(number: int, noun: str) -> str:
    """A number with its noun in singular or plural: 1 pair, 2 pairs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def utc(moment: datetime | None) -> str:
    """A moment to the minute."""
    return ABSENT if moment is None else f"{moment:%Y-%m-%d %H:%M}"
