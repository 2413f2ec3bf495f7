"""What a clean-up finds: looking changes nothing, taking away is a step of its own."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """One thing that a pattern matches.

    Attributes:
        what: Its kind and name, for a reader.
        take_away: Does it; the reason why the thing is still there, or None: it is gone.
    """

    what: str
    take_away: Callable[[], str | None]
