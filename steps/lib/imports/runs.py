"""What every importer answers: runs as they were found, each with where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ENVIRONMENT_CLASS = "imported"
"""Of every imported row: no gate of ours saw the machine, so nothing measured is compared."""


@dataclass(frozen=True)
class ImportedRun:
    """One run. ``metrics`` are columns of ``measurements``; a run that is not ok has none.

    ``where`` is the place in the file; ``raw`` the words that stand there.
    """

    plugin: str
    repeat: int
    cell: str
    role: str
    status: str
    reason: str | None
    asked: Mapping[str, Any]
    metrics: Mapping[str, Any]
    where: str
    raw: bytes
    tool_version: str | None = None
    started_at: datetime | None = None
    remark: str | None = None


@dataclass(frozen=True)
class Imported:
    """A file or tree. ``left_out`` are places that cannot be given a row, each with the reason."""

    form: str
    source: str
    digest: str
    baseline: str | None
    runs: tuple[ImportedRun, ...]
    left_out: tuple[str, ...]
