"""CPU cycles of the whole machine by hardware counters, where there are any.

One counter for each CPU, for all that runs there, interrupts included (perf_event_open(2)). Most
virtual machines have none; then the answer is None, never an estimate: those two are not compared.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from pathlib import Path

PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE = 0, 1
PERF_COUNT_HW_CPU_CYCLES = 0
PERF_COUNT_SW_CPU_CLOCK = 0

_SYSCALL_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
_FLAG_CLOEXEC = 8
_READ_TIMES = 1 | 2
"""PERF_FORMAT_TOTAL_TIME_ENABLED and _RUNNING: tells whether a counter shared its register."""

_ATTRIBUTE = struct.Struct("=IIQQQQQ")
_ATTRIBUTE_SIZE = 64
"""Fields type, size, config, sample period, sample type, read format, flags; the rest is zero.

64 bytes is the structure's first published size (PERF_ATTR_SIZE_VER0), which every kernel takes.
"""
_READING = struct.Struct("=QQQ")

_UNSUPPORTED = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.ENOSYS)


@dataclass(frozen=True)
class Event:
    """What to count."""

    type: int = PERF_TYPE_HARDWARE
    config: int = PERF_COUNT_HW_CPU_CYCLES


class Cycles:
    """Counts from its first reading on: only differences of two readings mean something."""

    def __init__(self, event: Event | None = None) -> None:
        self._event = event or Event()
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
    """Open one counter on each CPU; none at all if any CPU has none: a part is not the sum."""
    counters: list[int] = []
    for cpu in _cpus_online():
        counter = _open(event, cpu)
        if counter is None:
            for opened in counters:
                os.close(opened)
            return []
        counters.append(counter)
    return counters


def _open(event: Event, cpu: int) -> int | None:
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        return None
    fields = _ATTRIBUTE.pack(event.type, _ATTRIBUTE_SIZE, event.config, 0, 0, _READ_TIMES, 0)
    attribute = ctypes.create_string_buffer(fields, _ATTRIBUTE_SIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    every_process, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
    counter: int = libc.syscall(
        ctypes.c_long(number),
        attribute,
        every_process,
        ctypes.c_int(cpu),
        no_group,
        ctypes.c_ulong(_FLAG_CLOEXEC),
    )
    if counter >= 0:
        return counter
    code = ctypes.get_errno()
    if code in (*_UNSUPPORTED, *_NOT_ALLOWED):
        return None
    raise OSError(code, f"perf_event_open: {os.strerror(code)}")


def _value(counter: int) -> int | None:
    """Count, scaled up if the counter had to share a register with others; None if it never ran."""
    count, enabled, running = _READING.unpack(os.read(counter, _READING.size))
    if running == 0:
        return None if enabled else 0
    return count if running == enabled else int(count * enabled / running)


def _cpus_online() -> list[int]:
    """Such as ``0-3,6``."""
    cpus: list[int] = []
    for part in Path("/sys/devices/system/cpu/online").read_text().strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus
