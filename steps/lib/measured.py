"""One measurement, ready to be stored."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One measurement, ready to be stored: its row, its parts, the tool's own words.

    ``noise`` are the machine's readings if they are why the try does not count, else None.
    """

    row: dict[str, Any]
    intervals: list[dict[str, Any]]
    histogram: list[dict[str, Any]]
    raw: bytes
    noise: dict[str, Any] | None = None
