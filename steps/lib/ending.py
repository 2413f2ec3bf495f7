"""Being told to end: what was changed is still put back, but what is away is hardly waited for.

Who tells a process to end kills it if it takes long. What it could not put back until then, the
next run does, as after any kill.
"""

import signal
from typing import Any

_told = False


def listen() -> None:
    """Have SIGINT and SIGTERM interrupt what runs; one that is ignored by intention stays so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def is_told() -> bool:
    """Whether this process was told to end. True for all of its threads."""
    return _told


def _end(*_: Any) -> None:
    global _told  # An event's lock could be held by what the signal interrupts.
    _told = True
    raise KeyboardInterrupt
