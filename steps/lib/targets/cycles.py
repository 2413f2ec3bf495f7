"""CPU cycles of the whole machine by hardware counters, where there are any.

One counter for each CPU, for all that runs there, interrupts included (perf_event_open(2)). Most
virtual machines have none; then the answer is None, never an estimate: those two are not compared.
"""

import errno
import os
import struct
from dataclasses import replace

from steps.lib.targets import perf_event
from steps.lib.targets.perf_event import Event

_READ_TIMES = 1 | 2
"""PERF_FORMAT_TOTAL_TIME_ENABLED and _RUNNING: tells whether a counter shared its register."""

_READING = struct.Struct("=QQQ")

_UNSUPPORTED = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.ENOSYS)


class Cycles:
    """Counts from its first reading on: only differences of two readings mean something."""

    def __init__(self, event: Event | None = None) -> None:
        self._event = replace(event or Event(), read_format=_READ_TIMES)
        self._counters: list[int] | None = None

    def read(self) -> int | None:
        """Sum over all CPUs, or None where the machine cannot count this."""
        if self._counters is None:
            self._counters = _open_all(self._event)
        if not self._counters:
            return None
        values = [_value(counter) for counter in self._counters]
        return None if None in values else sum(v for v in values if v is not None)

    def close(self) -> None:
        """Stop counting."""
        for counter in self._counters or ():
            os.close(counter)
        self._counters = None

    def __del__(self) -> None:
        self.close()


def _open_all(event: Event) -> list[int]:
    """A counter on each CPU; none where they cannot be had."""
    try:
        return perf_event.open_on_each_cpu(event)
    except OSError as error:
        if error.errno in (*_UNSUPPORTED, *_NOT_ALLOWED):
            return []
        raise


def _value(counter: int) -> int | None:
    """Count, scaled up if the counter had to share a register with others; None if it never ran."""
    count, enabled, running = _READING.unpack(os.read(counter, _READING.size))
    if running == 0:
        return None if enabled else 0
    return count if running == enabled else int(count * enabled / running)
