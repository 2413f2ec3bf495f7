"""What every importer answers: runs as they were found, each with where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ENVIRONMENT_CLASS = "imported"
"""Of every imported row: no gate of ours saw the machine, so nothing measured is compared."""


class DamagedError(Exception):
    """There is no number that can be believed; the message says why."""


@dataclass(frozen=True)
class Found:
    """One run as a file tells it. ``metrics`` are columns of ``measurements``.

    A run that is not ok has none. ``where`` is the place in the file; ``raw`` the words that stand
    there; ``names`` what the words say of plugin, path, cell or repeat, if they do.
    """

    where: str
    raw: bytes
    status: str = "ok"
    reason: str | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    tool: str | None = None
    tool_version: str | None = None
    started_at: datetime | None = None
    remark: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def damaged(where: str, raw: bytes, reason: str, status: str = "invalid") -> Found:
    """A run of which nothing but its place is believed."""
    return Found(where, raw, status, reason)


@dataclass(frozen=True, kw_only=True)
class ImportedRun(Found):
    """One run, and whose it is: what the words, the name of the file and a person say."""

    plugin: str
    repeat: int
    cell: str
    role: str = "cell"


@dataclass(frozen=True)
class Imported:
    """A file or tree. ``left_out`` are places that cannot be given a row, each with the reason."""

    form: str
    source: str
    digest: str
    baseline: str | None
    runs: tuple[ImportedRun, ...]
    left_out: tuple[str, ...]
