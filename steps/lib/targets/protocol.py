"""What a target must be able to do. Everything above it does not know which one it has.

A target lives outside of this process: each stage attaches to it anew (on Argo each stage is a pod
of its own), so all its state is on the target itself and survives a killed process.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Protocol

from steps.lib.models import EndpointKind, Plugin, Profile, TargetKind
from steps.lib.state import BlockState


@dataclass(frozen=True)
class Node:
    """One node of the target. ``address`` is on the underlay."""

    name: str
    address: str
    uplink: str


@dataclass(frozen=True)
class NodeFacts:
    """What a node is; feeds the ``nodes`` table and the environment fingerprint.

    ``cpu_nominal_hz`` is None where the machine does not tell: then no cycles are estimated.
    """

    kernel: str
    cpu_model: str
    cpus: int
    memory_bytes: int
    cpu_nominal_hz: float | None
    boot_id: str
    underlay_mtu_bytes: int
    toolbox_digest: str


@dataclass(frozen=True)
class Installation:
    """A plugin as installed. ``fingerprint`` is read from the target, never copied from a file."""

    version: str
    fingerprint: str


@dataclass(frozen=True)
class Endpoint:
    """A place where a traffic tool runs: a pod, a node itself, or the external client.

    ``pair`` is the node-side device of a pod's link (None where there is none), ``start_ms`` the
    time its creation took (None where nothing was created), ``service_address`` the virtual address
    under which its ports are published (None where there is none), ``device_mtu_bytes`` the MTU of
    the device itself where the way to other pods may have a smaller one.
    """

    name: str
    kind: EndpointKind
    node: Node
    address: str
    device: str
    mtu_bytes: int
    pair: str | None = None
    start_ms: float | None = None
    service_address: str | None = None
    device_mtu_bytes: int | None = None


@dataclass(frozen=True)
class EndpointRequest:
    """What endpoint to make. ``published_ports`` are opened on the node for TCP and UDP."""

    name: str
    kind: EndpointKind
    node_index: int
    published_ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class DeviceCounters:
    """Counters of one network device since its creation."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int


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

    ``instants`` are by node: nodes are read at the same time, but not to the millisecond.
    ``groups`` are exact CPU seconds of the processes started in each group (``client``,
    ``server``); ``foreign`` those of processes that are not cnibench's, as far as they are told
    apart. ``cycles`` is None where there are no hardware counters. ``throttled`` counts how often
    each control group that a tool is in had used up its share of CPU; those that cannot limit it
    are not in it.
    """

    instants: Mapping[str, Instant]
    user_s: float
    system_s: float
    idle_s: float
    iowait_s: float
    irq_s: float
    softirq_s: float
    steal_s: float
    foreign: Mapping[str, float]
    groups: Mapping[str, float] = field(default_factory=dict)
    cycles: int | None = None
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


class Process(Protocol):
    """A command running in an endpoint."""

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, line by line as it comes."""

    @property
    def command(self) -> tuple[str, ...]:
        """The tool's command line, without the target's own wrapping."""

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""

    def stop(self, timeout_s: float) -> tuple[int, bytes]:
        """Wait up to ``timeout_s``, end it if need be; return exit status and standard error."""


Inventory = Mapping[str, frozenset[str]]
"""What there is on a node, by kind (links, routes, rules, nft, processes, ...)."""


def difference(before: Inventory, after: Inventory) -> list[str]:
    """What was left behind and what is missing, as sentences."""
    found: list[str] = []
    for kind in sorted(set(before) | set(after)):
        was, now = before.get(kind, frozenset()), after.get(kind, frozenset())
        found += [f"{kind}: left behind: {item}" for item in sorted(now - was)]
        found += [f"{kind}: missing: {item}" for item in sorted(was - now)]
    return found


class Target(Protocol):
    """One place where campaigns run."""

    kind: TargetKind
    name: str

    @property
    def environment_class(self) -> str:
        """What its numbers can be compared with."""

    # ---------- life of the target
    def missing_requirements(self) -> list[str]:
        """Rights, programs and kernel features that are absent, each with what to do about it."""

    def unsupported(self, plugin: Plugin) -> str | None:
        """Why this target cannot run ``plugin`` at all (a missing kernel feature), or None."""

    def let_go(self) -> None:
        """Take away what only looking at the target needed; a block that holds it stays."""

    def lock(self, workflow: str | None = None) -> AbstractContextManager[None]:
        """Hold the target against any other campaign; OwnershipError if it is taken.

        A workflow is a row of processes: while one of its blocks is open, the target stays held
        between them.
        """

    def prepare(self) -> None:
        """Bring the target up from any state, also after a kill: idempotent, no leftovers."""

    def discard(self) -> None:
        """Take down all that ``prepare`` and its successors made. Idempotent."""

    def siblings(self) -> "Sequence[Target]":
        """Other targets that share this one's kernel and still hold a block's state."""

    # ---------- nodes
    def nodes(self) -> Sequence[Node]:
        """The nodes, at least two, in a fixed order."""

    def all_nodes(self) -> Sequence[Node]:
        """Every node that a plugin is installed on: these, and those that are not measured."""

    def facts(self, node: Node) -> NodeFacts:
        """What the node is."""

    def inventory(self, node: Node) -> Inventory:
        """What there is on the node, for the residue check."""

    # ---------- plugin
    def install(self, plugin: Plugin, install_id: str) -> None:
        """Put the plugin on every node."""

    def installation(self) -> Installation | None:
        """What is installed right now, read back; None if nothing is."""

    def prove(self, plugin: Plugin) -> None:
        """Prove the services of an installed plugin that no path shows (names, for example).

        Raises:
            RefusedError: one of them does not work; the message names it.
        """

    def remove(self) -> None:
        """Remove pods first, then the plugin. Idempotent."""

    # ---------- settings
    def read_setting(self, node: Node, name: str) -> str | None:
        """Value in force on the node, blanks normalised; None where the kernel has no such name."""

    def write_setting(self, node: Node, name: str, value: str) -> None:
        """Set it; RefusedError with the kernel's reason if it does not take the value."""

    def expected_in_endpoint(self, endpoint: Endpoint, profile: Profile) -> Mapping[str, str]:
        """Which of the profile's settings a fresh endpoint must show, with their values."""

    def read_endpoint_setting(self, endpoint: Endpoint, name: str) -> str | None:
        """Value in force inside the endpoint."""

    # ---------- endpoints and traffic
    def endpoint(self, request: EndpointRequest) -> AbstractContextManager[Endpoint]:
        """Make an endpoint, and take it away at the end, also after an error."""

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> Process:
        """Start a tool of the tool box in the endpoint, its CPU counted under ``group``."""

    def wait_listening(
        self, endpoint: Endpoint, port: int, protocol: str, timeout_s: float
    ) -> None:
        """Wait until a socket listens, without connecting to it (that would end the server)."""

    # ---------- readings
    def cpu(self) -> CpuTimes:
        """CPU of all nodes now."""

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """CPU of all nodes, then at once the counters of each place, by the places' names."""

    # ---------- memory of the block, kept on the target
    def load_state(self) -> BlockState | None:
        """State of the block that holds the target, or None."""

    def save_state(self, state: BlockState | None) -> None:
        """Replace the state, durably and at once."""
