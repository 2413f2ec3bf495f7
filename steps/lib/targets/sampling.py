"""What every CPU executes, sampled: the kernel's stack of whatever runs, so many times a second.

By the event cpu-clock of perf_event_open(2), a timer of the kernel that virtual machines have too.
Samples are dated by the monotonic clock, the one that windows are measured by, so that those of
exactly one window can be told. Only the standard library is used: agents on nodes have this too.
"""

import mmap
import os
import struct
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from steps.lib.errors import RefusedError
from steps.lib.targets import kernel_symbols, perf_event
from steps.lib.targets.perf_event import PERF_COUNT_SW_CPU_CLOCK, PERF_TYPE_SOFTWARE, Event
from steps.lib.targets.proc import PF_KTHREAD

STACK_FRAMES_MAX = 64
LOST_SHARE_MAX = 0.01

_SAMPLE_TYPE = 1 << 1 | 1 << 2 | 1 << 5
"""PERF_SAMPLE_TID, _TIME and _CALLCHAIN."""

_FLAGS = 1 << 22 | 1 << 25
"""exclude_callchain_user and use_clockid: of user code it is enough to know whose it is."""

_RING_BYTES = 1 << 19
"""For each CPU: some seconds at 99 samples a second, should the thread that empties it starve."""

_EMPTY_INTERVAL_S = 0.5

_HEADER = struct.Struct("=IHH")
_SAMPLE = struct.Struct("=IIQQ")  # process, thread, time in ns, number of addresses that follow
_RECORD_LOST, _RECORD_THROTTLE, _RECORD_SAMPLE = 2, 5, 9
_POSITIONS = struct.Struct("=QQQQ")  # head, tail, where the data begin, their length
_POSITIONS_AT, _TAIL_AT = 1024, 1032
_FIRST_MARKER = 2**64 - 4095
"""From here on an "address" is a mark (PERF_CONTEXT_*) that says what the next ones are."""


class Origin(NamedTuple):
    """Whose a process is: the text of its ``/proc/<pid>/cgroup``, and its parent."""

    groups: str
    parent: int
    is_kernel_thread: bool


class Sample(NamedTuple):
    """How often something was seen. Frames are innermost first; none: it was in user space."""

    pid: int
    frames: tuple[str, ...]
    times: int


class Sampler:
    """Samples all CPUs of this kernel from ``start`` to ``stop``."""

    def __init__(self, frequency_hz: int) -> None:
        self._period_ns = round(1e9 / frequency_hz)
        self._rings: list[mmap.mmap] = []
        self._times_ns, self._stacks = array("Q"), array("L")
        self._numbers: dict[tuple[int, bytes], int] = {}
        """Of each process and stack that was seen, by which ``_stacks`` names it."""
        self._origins: dict[int, Origin] = {}
        self._lost = self._throttled = 0
        self._busy = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._empty_now_and_then, daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RefusedError: this kernel does not sample, or not for us.
        """
        event = Event(
            type=PERF_TYPE_SOFTWARE,
            config=PERF_COUNT_SW_CPU_CLOCK,
            sample_period=self._period_ns,
            sample_type=_SAMPLE_TYPE,
            flags=_FLAGS,
            clock=time.CLOCK_MONOTONIC,
            stack_frames_max=STACK_FRAMES_MAX,
        )
        descriptors: list[int] = []
        try:
            descriptors = perf_event.open_on_each_cpu(event)
            self._rings = [mmap.mmap(d, mmap.PAGESIZE + _RING_BYTES) for d in descriptors]
        except OSError as error:
            raise RefusedError(f"CPUs cannot be sampled: {error.strerror}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)  # The mapping keeps the event.
        self._thread.start()

    def stop(self) -> None:
        """End, and forget all. Idempotent."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for ring in self._rings:
            ring.close()
        self._rings = []

    def samples(self, first_s: float, last_s: float) -> list[Sample]:
        """What was seen between two instants of the monotonic clock.

        Raises:
            RefusedError: too many were lost, or functions have no names.
        """
        with self._busy:  # The thread goes on emptying.
            self._empty()
            seen = Counter(
                stack
                for at_ns, stack in zip(self._times_ns, self._stacks, strict=True)
                if first_s * 1e9 <= at_ns < last_s * 1e9
            )
            stacks = {number: key for key, number in self._numbers.items() if number in seen}
        if self._throttled or self._lost > LOST_SHARE_MAX * seen.total():
            raise RefusedError(
                f"of {seen.total()} samples of CPUs {self._lost} were lost, and the kernel "
                f"throttled them {self._throttled} times; ask for fewer a second"
            )
        chains = {chain: _addresses(chain) for _, chain in stacks.values()}
        names = kernel_symbols.names_of({a for chain in chains.values() for a in chain})
        return [
            Sample(pid, tuple(names[a] for a in chains[chain]), seen[number])
            for number, (pid, chain) in stacks.items()
        ]

    @property
    def origins(self) -> dict[int, Origin]:
        """Whose the processes are that were seen; one that lived less than half a second may lack.

        Kernel threads are in it, and the idle task, which has the number 0, is not.
        """
        with self._busy:
            return dict(self._origins)

    def _empty_now_and_then(self) -> None:
        while not self._ended.wait(_EMPTY_INTERVAL_S):
            with self._busy:
                self._empty()

    def _empty(self) -> None:
        """Only for who holds ``_busy``: two readers of a ring would take the same records."""
        pids = {pid for ring in self._rings for pid in self._keep(_taken(ring))}
        for pid in pids - {0}:
            # Read again each time: a tool joins its group before it becomes the tool.
            origin = _origin(pid)
            if origin is not None:
                self._origins[pid] = origin

    def _keep(self, data: bytes) -> Iterator[int]:
        """Keep the samples among some records; the processes that they are of."""
        at = 0
        while at < len(data):
            kind, _, length = _HEADER.unpack_from(data, at)
            body = at + _HEADER.size
            if kind == _RECORD_SAMPLE:
                pid, _, at_ns, count = _SAMPLE.unpack_from(data, body)
                chain = data[body + _SAMPLE.size : body + _SAMPLE.size + 8 * count]
                self._times_ns.append(at_ns)
                self._stacks.append(self._numbers.setdefault((pid, chain), len(self._numbers)))
                yield pid
            elif kind == _RECORD_LOST:
                self._lost += struct.unpack_from("=QQ", data, body)[1]
            elif kind == _RECORD_THROTTLE:
                self._throttled += 1
            at += length


def _taken(ring: mmap.mmap) -> bytes:
    """All records that are there; the kernel may write over them then."""
    head, tail, begin, size = _POSITIONS.unpack_from(ring, _POSITIONS_AT)
    first, length = begin + tail % size, head - tail
    data = ring[first : min(first + length, begin + size)]
    data += ring[begin : begin + length - len(data)]
    struct.pack_into("=Q", ring, _TAIL_AT, head)
    return data


def _addresses(chain: bytes) -> tuple[int, ...]:
    addresses: tuple[int, ...] = struct.unpack(f"={len(chain) // 8}Q", chain)
    return tuple(a for a in addresses if a < _FIRST_MARKER)


def _origin(pid: int) -> Origin | None:
    process = Path("/proc", str(pid))
    try:
        status = (process / "stat").read_bytes()
        groups = (process / "cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # It ended.
    fields = status[status.rindex(b")") + 2 :].split(None, 7)
    return Origin(groups, int(fields[1]), bool(int(fields[6]) & PF_KTHREAD))
