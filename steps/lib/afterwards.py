"""Cleaning up after work without losing the reason why the work failed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG = logging.getLogger("cnibench")


@contextmanager
def afterwards(clean_up: Callable[[], object], otherwise: str) -> Iterator[None]:
    """Clean up at the end of a block of code, also after an error in it.

    If both fail, the first error is raised, since it is the one that matters: who loses a node
    cannot clean up on it either. That of the clean-up is logged.

    Args:
        clean_up: What to do.
        otherwise: What it means when that fails, for the log.
    """
    try:
        yield
    except BaseException:
        try:
            clean_up()
        except Exception as error:  # Whatever it is, it came second.
            LOG.warning("%s: %s", otherwise, error)
        raise
    clean_up()
