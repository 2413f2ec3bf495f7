"""The system call perf_event_open(2): counters and samples of whole CPUs, by the kernel.

Only the standard library is used here: the program that runs on the nodes of a cluster has it too.
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

_ATTRIBUTE = struct.Struct("=IIQQQQQIIQQQQIiQIHH")
"""``struct perf_event_attr`` as of Linux 4.8 (PERF_ATTR_SIZE_VER5), which later kernels take."""


@dataclass(frozen=True)
class Event:
    """What to count, and by which mask of ``PERF_FORMAT_*`` it is read.

    With a ``sample_period`` (events, or nanoseconds of a clock) it writes samples as well:
    ``sample_type`` says of what, ``clock`` by which clock they are dated, ``stack_frames_max`` how
    deep they go, and ``flags`` are the bits of the structure's bit field.
    """

    type: int = PERF_TYPE_HARDWARE
    config: int = PERF_COUNT_HW_CPU_CYCLES
    read_format: int = 0
    sample_period: int = 0
    sample_type: int = 0
    flags: int = 0
    clock: int = 0
    stack_frames_max: int = 0

    def packed(self) -> bytes:
        """The structure that the kernel takes; fields that are of no use here are zero."""
        what = (self.type, _ATTRIBUTE.size, self.config, self.sample_period)
        how = (self.sample_type, self.read_format, self.flags)
        breakpoints_branches_registers = (0,) * 7
        rest = (self.clock, 0, 0, self.stack_frames_max, 0)
        return _ATTRIBUTE.pack(*what, *how, *breakpoints_branches_registers, *rest)


def open_on_each_cpu(event: Event) -> list[int]:
    """Start an event on every CPU that is online, for all that runs there; descriptors to read.

    Raises:
        OSError: one CPU does not have it, or we may not; then it is started nowhere, since a part
            is not the sum.
    """
    opened: list[int] = []
    try:
        for cpu in _cpus_online():
            opened.append(_open(event, cpu))
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    return opened


def _open(event: Event, cpu: int) -> int:
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"perf_event_open is not known on {platform.machine()}")
    attribute = ctypes.create_string_buffer(event.packed(), _ATTRIBUTE.size)
    libc = ctypes.CDLL(None, use_errno=True)
    every_process, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
    descriptor: int = libc.syscall(
        ctypes.c_long(number),
        attribute,
        every_process,
        ctypes.c_int(cpu),
        no_group,
        ctypes.c_ulong(_FLAG_CLOEXEC),
    )
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"perf_event_open: {os.strerror(code)}")
    return descriptor


def _cpus_online() -> list[int]:
    """Such as ``0-3,6``."""
    cpus: list[int] = []
    for part in Path("/sys/devices/system/cpu/online").read_text().strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus
