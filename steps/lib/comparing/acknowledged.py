"""Known changes, which a person has looked at: they are shown, and fail nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from steps.lib.comparing.compare import Line
from steps.lib.comparing.inference import Verdict
from steps.lib.documents import read_yaml, validate
from steps.lib.models import Model


class Known(Model):
    """One known change."""

    cell: str = Field(description="Cell as the comparison names it; `*` stands for anything")
    metric: str
    side: str = Field(default="*", description="The side that is judged; `*` for anything")
    at_most_percent: float = Field(gt=0, description="A greater change is no longer known")
    until: date | None = Field(default=None, description="Last day on which it counts")
    because: str = Field(min_length=1, description="Why it is accepted")


class KnownChanges(Model):
    """The file."""

    known: tuple[Known, ...]


def acknowledge(lines: Sequence[Line], file: Path, today: date) -> tuple[Line, ...]:
    """The lines, those that are known marked with the reason.

    Raises:
        InputError: the file is wrong.
    """
    known = validate(KnownChanges, read_yaml(file), file).known
    return tuple(replace(line, acknowledged=_because(line, known, today)) for line in lines)


def _because(line: Line, known: Sequence[Known], today: date) -> str | None:
    if line.verdict is not Verdict.regressed or line.effect is None:
        return None
    percent = 100 * abs(line.effect.ratio - 1)  # as it is shown
    for each in known:
        fits = all(
            fnmatchcase(value, pattern)
            for value, pattern in (
                (line.cell, each.cell),
                (line.metric, each.metric),
                (line.second, each.side),
            )
        )
        valid = each.until is None or today <= each.until
        if fits and valid and percent <= each.at_most_percent:
            return each.because
    return None
