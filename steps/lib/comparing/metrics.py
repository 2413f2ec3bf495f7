"""What can be compared, from ``metrics.yaml``."""

from functools import cache
from pathlib import Path

from pydantic import Field

from steps.lib.documents import read_yaml, suggest, validate
from steps.lib.errors import InputError
from steps.lib.models import Model

FILE = Path(__file__).with_name("metrics.yaml")

RATES = ("throughput", "transactions")
"""What is compared if nothing is asked for: of each cell the one that it has."""

COST = "cpu"
"""What is compared in the place of a rate that the wire bounds, or that was stated."""


class Metric(Model):
    """One metric of a cell."""

    name: str
    title: str = Field(description="Its name in a headline")
    unit: str
    sql: str = Field(description="Expression over a row of `measurements`; null if it has none")
    higher_is_better: bool
    margin_percent: float = Field(gt=0, description="Within this the sides count as equal")


class Metrics(Model):
    """The file."""

    metrics: tuple[Metric, ...]


@cache
def load_metrics() -> dict[str, Metric]:
    """All metrics by name."""
    return {m.name: m for m in validate(Metrics, read_yaml(FILE), FILE).metrics}


def find_metrics(names: tuple[str, ...]) -> tuple[Metric, ...]:
    """The metrics of these names.

    Raises:
        InputError: one does not exist.
    """
    known = load_metrics()
    for name in names:
        if name not in known:
            raise InputError(f"metric {name!r} is not known; {suggest(name, tuple(known))}")
    return tuple(known[name] for name in names)
