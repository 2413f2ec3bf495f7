"""What a target must be able to do. Everything above it does not know which one it has.

A target lives outside of this process: each stage attaches to it anew (on Argo each stage is a pod
of its own), so all its state is on the target itself and survives a killed process.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import IO, Protocol, Self

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, EndpointKind, Plugin, Policy, Scale, TargetKind
from steps.lib.setting import Look, Setting, Wanted
from steps.lib.state import BlockState
from steps.lib.targets.observations import Counters, CpuTimes, Sampling
from steps.lib.targets.wire import Between, Watching

CLOSED_PORT = 9
"""Of a pod in which nothing listens: that it is refused is the pod's answer."""

STRANGER = "stranger"
"""Name of the endpoint that a policy has to turn away."""


@dataclass(frozen=True)
class Node:
    """One node of the target, or the external client. ``address`` is on the underlay."""

    name: str
    address: str
    uplink: str
    address6: str | None = None

    def known_by(self, family: AddressFamily) -> Self:
        """The same node, its ``address`` of that family.

        Raises:
            RefusedError: it has none.
        """
        if family == "ipv4":
            return self
        if self.address6 is None:
            raise RefusedError(f"{self.name} has no {family} address on the underlay")
        return replace(self, address=self.address6)


@dataclass(frozen=True)
class NodeFacts:
    """What a node is; feeds the ``nodes`` table and the environment fingerprint.

    ``cpu_nominal_hz`` is None where the machine does not tell: then no cycles are estimated;
    ``kube_proxy_mode`` where there is none.
    """

    kernel: str
    cpu_model: str
    cpus: int
    memory_bytes: int
    cpu_nominal_hz: float | None
    boot_id: str
    underlay_mtu_bytes: int
    toolbox_digest: str
    kube_proxy_mode: str | None = None


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
    under which its ports are published (None where there is none), ``service_ready_ms`` the time
    until that worked, ``device_mtu_bytes`` the MTU of
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
    service_ready_ms: float | None = None
    device_mtu_bytes: int | None = None

    @property
    def is_on_node(self) -> bool:
        """Whether its network is its node's own, where others live too."""
        return self.address == self.node.address


@dataclass(frozen=True)
class EndpointRequest:
    """What endpoint to make.

    ``published_ports`` are opened on the node for TCP and UDP; if ``headless``, they have only a
    name instead, which tells the endpoint's own address. ``groups`` are those of tools that shall
    run in it beside a client and a server. ``family`` is of the addresses that it and its node are
    known by.
    """

    name: str
    kind: EndpointKind
    node_index: int
    published_ports: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    headless: bool = False
    family: AddressFamily = "ipv4"


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


@dataclass(frozen=True)
class Population:
    """What was made for the time of a cell: of pods, the time until each answered."""

    pod_start_ms: tuple[float, ...] = ()


class Surroundings(Protocol):
    """What else there is while a cell is measured: policies with their trials, Services, pods."""

    def populated(
        self, scale: Scale | None, family: AddressFamily
    ) -> AbstractContextManager[Population]:
        """Have so many Services of that family, and pods, beside for the time of the block.

        Raises:
            RefusedError: there are none here, or the cluster does not take so many.
        """

    def applied(
        self, policy: Policy, server: Endpoint, client: Endpoint, ports: Sequence[int]
    ) -> AbstractContextManager[None]:
        """Ask for the policy, and at the end of the block for its removal; waits for neither.

        Raises:
            RefusedError: nobody here can be asked for one.
        """

    def listening(self, server: Endpoint, ports: Sequence[int]) -> AbstractContextManager[None]:
        """Have a trial listen on TCP ports of a pod, on which no tool does."""

    def connects(self, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        """Whether a TCP connection from an endpoint comes about within that time."""


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

    def node(self, name: str) -> Node | None:
        """One of ``nodes``, also while another one does not answer; None if there is none.

        Raises:
            TransientError: it does not answer.
        """

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
    def lacking(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, str]:
        """What nodes of this target do not have, by entry; before ``prepare`` as well.

        Raises:
            RefusedError: a value that a node does not offer, or that could not be taken back.
        """

    def look_up(self, node: Node, wanted: Sequence[Wanted]) -> Sequence[Look]:
        """What each entry comes down to on the node; changes nothing.

        Raises:
            RefusedError: as ``lacking``.
        """

    def read_settings(
        self, node: Node, settings: Sequence[Setting]
    ) -> Mapping[Setting, str | None]:
        """Values in force on the node, blanks normalised; None for what it does not have."""

    def write_setting(self, node: Node, setting: Setting, value: str) -> None:
        """Set it; RefusedError with the node's reason if it does not take the value."""

    def expected_in_endpoint(
        self, endpoint: Endpoint, tuned: Mapping[Setting, str]
    ) -> Mapping[str, str]:
        """Which kernel settings of tuned nodes a fresh endpoint must show, with their values."""

    def read_endpoint_setting(self, endpoint: Endpoint, name: str) -> str | None:
        """Value of a kernel setting in force inside the endpoint."""

    # ---------- endpoints and traffic
    def endpoint(self, request: EndpointRequest) -> AbstractContextManager[Endpoint]:
        """Make an endpoint, and take it away at the end, also after an error."""

    def resolve(self, client: Endpoint, server: Endpoint) -> str:
        """Ask in the client for the name of the server's Service; the server's own address.

        Raises:
            RefusedError: there are no names, or it is another address after a while.
        """

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> Process:
        """Start a tool of the tool box in the endpoint, its CPU counted under ``group``."""

    def wait_listening(
        self, endpoint: Endpoint, port: int, protocol: str, timeout_s: float, group: str = "server"
    ) -> None:
        """Wait until a socket of that group listens, without connecting to it, which ends some."""

    @property
    def surroundings(self) -> Surroundings:
        """What else there is around its endpoints."""

    # ---------- readings
    def cpu(self) -> CpuTimes:
        """CPU of all nodes now."""

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """CPU of all nodes, then at once the counters of each place, by the places' names."""

    def plugin_memory_bytes(self) -> int:
        """Memory that the plugin's own processes hold on a node now, mean of the nodes."""

    def sampling(self, frequency_hz: int) -> AbstractContextManager[Sampling]:
        """Sample the CPUs of all nodes, each so many times a second, until the end of the block."""

    def watching(self, node: Node, between: Between) -> Watching:
        """Look at the frames that leave by a node's uplink for what two ends say to each other.

        It ends with the block, or when what is yielded is called, which tells what was seen.
        """

    # ---------- memory of the block, kept on the target
    def load_state(self) -> BlockState | None:
        """State of the block that holds the target, or None."""

    def save_state(self, state: BlockState | None) -> None:
        """Replace the state, durably and at once."""
