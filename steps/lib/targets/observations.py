"""What is observed of nodes and endpoints while a cell runs: counters, CPU time, samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from steps.lib.targets.proc import Modes


@dataclass(frozen=True)
class DeviceCounters:
    """Counters of one network device since its creation.

    ``rx_dropped_packets`` is as ``net/dev`` has it: those that it missed for want of room included.
    """

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_dropped_packets: int


@dataclass(frozen=True)
class Counters:
    """Counters of a network namespace: by device, and of its stack (``Tcp.OutSegs``, ...).

    ``stack`` has also how full its tables are, see ``proc.stack``; ``offloads`` what each device
    offloads, see ``features``.
    """

    devices: Mapping[str, DeviceCounters]
    stack: Mapping[str, int]
    offloads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Instant:
    """When a node was read: at ``at_s`` of the monotonic clock of its kernel, which has ``cpus``.

    Nodes of one ``kernel`` share its CPUs; another one after a reboot is another kernel. Whoever
    reads has a ``generation``, which grows when it is started anew and counts from zero again.
    ``clock_s`` is the node's real time at the same moment, in seconds since 1970.
    """

    at_s: float
    kernel: str
    cpus: int
    generation: int = 0
    clock_s: float = 0.0


@dataclass(frozen=True)
class CpuTimes:
    """CPU seconds of all nodes together, since boot, of each kernel once.

    ``instants`` are by node: nodes are read at the same time, but not to the millisecond. ``modes``
    and ``cycles`` are by node too, of the first node of each kernel; ``cycles`` has none where not
    every kernel has hardware counters. ``groups`` are exact CPU seconds of the processes started in
    each group (``client``, ``server``), ``plugin`` those of each of the plugin's pods; ``foreign``
    those of processes that are not cnibench's, as far as they are told apart. ``throttled`` counts
    how often each control group that a tool is in had used up its share of CPU; those that cannot
    limit it are not in it.
    """

    instants: Mapping[str, Instant]
    modes: Mapping[str, Modes]
    foreign: Mapping[str, float]
    groups: Mapping[str, float] = field(default_factory=dict)
    plugin: Mapping[str, float] = field(default_factory=dict)
    cycles: Mapping[str, int] = field(default_factory=dict)
    throttled: Mapping[str, int] = field(default_factory=dict)

    @property
    def kernels(self) -> dict[str, Instant]:
        """The instants that count: those of the first node of each kernel."""
        first: dict[str, tuple[str, Instant]] = {}
        for node, instant in self.instants.items():
            first.setdefault(instant.kernel, (node, instant))
        return dict(first.values())

    @property
    def cpus(self) -> int:
        """Logical processors of all nodes."""
        return sum(instant.cpus for instant in self.kernels.values())

    @property
    def foreign_s(self) -> float:
        """CPU seconds of all strangers that are there."""
        return sum(self.foreign.values())


Owner = Literal["kernel", "tool", "plugin", "cnibench", "system", "foreign"]
"""Whose a running thread is: the kernel's own (idle too), the traffic tool's, ...; ``system`` is
what a cluster's node runs beside pods, and the cluster's own pods."""


class Stack(NamedTuple):
    """Where a CPU was: functions of the kernel, innermost first; none in user space."""

    owner: Owner
    frames: tuple[str, ...]


@dataclass(frozen=True)
class Sampled:
    """What the CPUs of all nodes executed in a window: samples by stack, those of idle CPUs too.

    ``reason`` says why there are none, and is None if there are.
    """

    stacks: Mapping[Stack, int] = field(default_factory=dict)
    reason: str | None = None


class Sampling(Protocol):
    """CPUs that are being sampled."""

    def between(self, first: CpuTimes, last: CpuTimes) -> Sampled:
        """What was seen between two readings, by the clock of each node.

        A machine that cannot be sampled is no error, but the answer's ``reason``.
        """


@dataclass(frozen=True)
class NotSampled:
    """A ``Sampling`` of CPUs that are not sampled."""

    reason: str

    def between(self, first: CpuTimes, last: CpuTimes) -> Sampled:
        """Nothing, and why."""
        return Sampled(reason=self.reason)
