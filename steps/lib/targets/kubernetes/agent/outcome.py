"""What came of taking one thing away."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One thing, and why it is still there (None: it is gone)."""

    what: str
    problem: str | None = None
