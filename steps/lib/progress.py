"""Telling how far a stage is: to whoever runs the block in this process, or to Argo."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from steps.lib import pod

LOG = logging.getLogger("cnibench")


@dataclass(frozen=True)
class Cell:
    """A cell that begins (``status`` is None), or ended as the nth of so many."""

    id: str
    status: str | None = None
    done: int = 0
    total: int = 0


def _tell_argo(cell: Cell) -> None:
    if cell.status is not None:
        LOG.info("cell=%s status=%s", cell.id, cell.status)
        pod.show_progress(cell.done, cell.total)


_listener: ContextVar[Callable[[Cell], None]] = ContextVar("listener", default=_tell_argo)


def tell(cell: Cell) -> None:
    """Tell whoever listens."""
    _listener.get()(cell)


@contextmanager
def listening(listener: Callable[[Cell], None]) -> Iterator[None]:
    """Be told by stages that run meanwhile."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
