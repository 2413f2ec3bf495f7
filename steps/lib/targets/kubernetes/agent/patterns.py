"""Patterns of names, as a plugin's description declares what it leaves behind."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from steps.lib.errors import RefusedError

_CHOICE = re.compile(r"\[[^]]*\]")


def matches(name: str | None, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def refuse_everything(patterns: Sequence[str]) -> None:
    """Refuse a pattern without a letter or digit of its own: it does not say whose it means."""
    for pattern in patterns:
        if not any(letter.isalnum() for letter in _CHOICE.sub("", pattern)):
            raise RefusedError(f"{pattern!r} matches everything; write whose")
