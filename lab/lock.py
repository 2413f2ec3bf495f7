"""One at a time: commands that change a lab, and those that unpack images."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.progress import say
from steps.lib.errors import TransientError

TIMEOUT_S = 900.0
"""Longer than what is done under a lock may take: unpacking images may take 600 s."""

POLL_S = 0.2


@contextmanager
def exclusively(what: str, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock by its name, which is a socket's: no file, and gone with whoever holds it.

    ``meanwhile`` is done again and again while somebody else holds it.

    Raises:
        TransientError: somebody else has held it for minutes.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        waiting = False
        while not _taken(held, what):
            if time.monotonic() > deadline:
                raise TransientError(
                    f"another command has been at work on {what} for {TIMEOUT_S:g} s: wait for "
                    "it, or end it by `python -m lab down`"
                )
            if not waiting:
                say(f"waiting for another command that is at work on {what}")
                waiting = True
            meanwhile()
            time.sleep(POLL_S)
        yield


def _taken(held: socket.socket, what: str) -> bool:
    try:
        held.bind(f"\0{what}")
    except OSError:
        return False
    return True
