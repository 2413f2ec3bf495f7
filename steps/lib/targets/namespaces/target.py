"""The embedded target: nodes are network namespaces of this machine, joined by a veth switch.

Real data paths of the real kernel, real plugins, real traffic; seconds to set up; nothing of the
machine's own network is touched. Both nodes share one kernel and its CPUs, and the wire is a veth:
its numbers are CPU numbers, and its rows say so by their environment class.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path

from steps.lib import tools
from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.models import Plugin, TargetKind, TargetSpec
from steps.lib.setting import Look, Setting, Wanted
from steps.lib.state import BlockState
from steps.lib.targets.cycles import Cycles
from steps.lib.targets.namespaces import (
    counters,
    cpu,
    facts,
    inventory,
    locks,
    netns,
    processes,
    requirements,
    sampling,
    settings,
    sockets,
    topology,
)
from steps.lib.targets.namespaces.cgroups import Groups
from steps.lib.targets.namespaces.cni import Runtime
from steps.lib.targets.namespaces.endpoints import Endpoints, PlacedEndpoint
from steps.lib.targets.namespaces.files import delete_durably, write_durably
from steps.lib.targets.namespaces.installer import Installer
from steps.lib.targets.namespaces.layout import RUN, Layout
from steps.lib.targets.namespaces.surroundings import Surroundings
from steps.lib.targets.namespaces.tuning import kinds
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.observations import Counters, CpuTimes, Sampling
from steps.lib.targets.protocol import (
    Endpoint,
    EndpointRequest,
    Installation,
    Inventory,
    Node,
    NodeFacts,
    Target,
)
from steps.lib.targets.wire import Between, Seen, Watch


class NamespacesTarget:
    """``protocol.Target`` on this machine. Making one touches nothing; ``prepare`` builds.

    Args:
        spec: Name and underlay MTU.
        toolbox: Root file system of the tools, ``None`` for the machine's own programs.
    """

    kind: TargetKind = "namespaces"
    environment_class = "single-kernel"

    def __init__(self, spec: TargetSpec, toolbox: Path | None) -> None:
        self.name: str = spec.name
        self._toolbox = toolbox
        self._layout = Layout(spec.name, spec.underlay_mtu)
        self._groups = Groups(self._layout.cgroup)
        self._cycles = Cycles()

    @cached_property
    def _installer(self) -> Installer:
        return Installer(self._layout, self._runtime)

    @cached_property
    def _endpoints(self) -> Endpoints:
        return Endpoints(self._layout, self._installer, self._runtime)

    @cached_property
    def _runtime(self) -> Runtime:
        return Runtime(tools.cni_plugins())

    # ---------- life of the target
    def missing_requirements(self) -> list[str]:
        """Rights, programs and kernel features that are absent, each with what to do about it."""
        return requirements.missing(self._toolbox)

    def unsupported(self, plugin: Plugin) -> str | None:
        """Why the plugin cannot run here at all, or None."""
        if self.kind not in plugin.targets:
            return f"{plugin.name} is not for targets of kind {self.kind}"
        return requirements.unsupported_links(plugin)

    def let_go(self) -> None:
        """Looking needs nothing here."""

    def lock(self, workflow: str | None = None) -> AbstractContextManager[None]:
        """Hold the whole machine, since targets of other names would share its CPUs."""
        return locks.machine(self.name)

    def prepare(self) -> None:
        """Tear down whatever is left and build anew; the block's state survives."""
        topology.tear_down(self._layout, self._groups)
        topology.build(self._layout)

    def discard(self) -> None:
        """Leave nothing behind, except for the state of a block that nobody has ended."""
        topology.tear_down(self._layout, self._groups)
        if self._layout.directory.exists() and not self._layout.state_file.exists():
            shutil.rmtree(self._layout.directory)

    def siblings(self) -> Sequence[Target]:
        """Targets of other names on this machine that a block still holds."""
        names = [p.parent.name for p in RUN.glob("*/state.json") if p.parent.name != self.name]
        return [
            NamespacesTarget(TargetSpec(kind=self.kind, name=name), self._toolbox)
            for name in sorted(names)
        ]

    # ---------- nodes
    def nodes(self) -> Sequence[Node]:
        """The nodes, in a fixed order."""
        return self._layout.nodes

    def node(self, name: str) -> Node | None:
        """One of them, by its name."""
        return next((node for node in self.nodes() if node.name == name), None)

    def all_nodes(self) -> Sequence[Node]:
        """The same: every node is measured."""
        return self.nodes()

    def facts(self, node: Node) -> NodeFacts:
        """What the machine is."""
        return facts.read(self._layout.underlay_mtu, tools.toolbox_digest(self._toolbox))

    def inventory(self, node: Node) -> Inventory:
        """What there is on the node, without anything volatile."""
        return inventory.take(self._layout, node)

    # ---------- plugin
    def install(self, plugin: Plugin, install_id: str) -> None:
        """Put the plugin on every node, down to what its first pod adds."""
        state = self.load_state()
        tuned_mtu = state.mtu_bytes if state else None
        self._installer.install(plugin, install_id, tuned_mtu or self._layout.underlay_mtu)
        self._endpoints.settle()

    def installation(self) -> Installation | None:
        """What is installed right now, read back; None if nothing is."""
        return self._installer.installation()

    def prove(self, plugin: Plugin) -> None:
        """Nothing: there are neither names nor Services here, and each path is proven by itself."""

    def remove(self) -> None:
        """Remove pods first, then the plugin."""
        self._endpoints.take_away_all()
        self._installer.remove()

    # ---------- settings
    def lacking(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, str]:
        """What a node lacks; asked of a node that nobody sees, since none may be up yet."""
        return requirements.lacking(wanted)

    def look_up(self, node: Node, wanted: Sequence[Wanted]) -> Sequence[Look]:
        """What each entry comes down to on the node."""
        return kinds.look_up(self._access(node), wanted)

    def read_settings(
        self, node: Node, settings: Sequence[Setting]
    ) -> Mapping[Setting, str | None]:
        """Values in force on the node."""
        values = kinds.read(self._access(node), settings)
        return dict(zip(settings, values, strict=True))

    def write_setting(self, node: Node, setting: Setting, value: str) -> None:
        """Set a value on the node; one of the whole kernel is set for the machine."""
        kinds.write(self._access(node), setting, value)

    def _access(self, node: Node) -> Access:
        return Access(self._namespace(node), node.uplink)

    def expected_in_endpoint(
        self, endpoint: Endpoint, tuned: Mapping[Setting, str]
    ) -> Mapping[str, str]:
        """Settings of nodes where the endpoint is one; of pods what a new namespace inherits.

        Settings of the whole kernel are expected wherever they can be read. The external client is
        no node and is never tuned.
        """
        namespace = self._namespace(endpoint)
        on_node = namespace in map(self._namespace, self._layout.nodes)
        expected = {}
        for setting, value in tuned.items():
            if setting.kind != "sysctl":
                continue
            if setting.place == "node":
                wanted = settings.read(namespace, setting.name) is not None
            else:
                wanted = on_node or (endpoint.kind == "pod" and settings.is_inherited(setting.name))
            if wanted:
                expected[setting.name] = value
        return expected

    def read_endpoint_setting(self, endpoint: Endpoint, name: str) -> str | None:
        """Value in force inside the endpoint; None where it is not visible there."""
        return settings.read(self._namespace(endpoint), name)

    # ---------- endpoints and traffic
    def endpoint(self, request: EndpointRequest) -> AbstractContextManager[Endpoint]:
        """Make an endpoint, and take it away at the end, also after an error."""
        return self._endpoints.make(request)

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> processes.Running:
        """Start a tool in the endpoint; it dies with the thread that calls this."""
        namespace = self._namespace(endpoint)
        return processes.start(namespace, self._toolbox, self._groups, group, command)

    def resolve(self, client: Endpoint, server: Endpoint) -> str:
        """There are no names: plans say so of the paths that need them."""
        raise RefusedError(f"{client.name} asks for the name of {server.name}; there is none here")

    def wait_listening(
        self, endpoint: Endpoint, port: int, protocol: str, timeout_s: float, group: str = "server"
    ) -> None:
        """Look at the endpoint's socket table until the port is there; never connect to it."""
        sockets.wait_listening(self._namespace(endpoint), port, protocol, timeout_s)

    @property
    def surroundings(self) -> Surroundings:
        """What else there is around its endpoints."""
        return Surroundings(self._namespace, self._endpoints)

    # ---------- readings
    def cpu(self) -> CpuTimes:
        """CPU of the machine, both nodes together: they cannot be told apart."""
        return cpu.read(self._groups, self._cycles)

    def counters(self, where: Endpoint | Node) -> Counters:
        """Counters of an endpoint's or node's namespace now."""
        return counters.read(self._namespace(where))

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """CPU of the machine, then at once the counters of each place."""
        return self.cpu(), {name: self.counters(place) for name, place in places.items()}

    def plugin_memory_bytes(self) -> int:
        """None: the plugins of this target are programs that run for each call."""
        return 0

    def sampling(self, frequency_hz: int) -> AbstractContextManager[Sampling]:
        """Sample the machine's CPUs: of all that runs on it, strangers' processes told apart."""
        return sampling.sampling(self._groups, frequency_hz)

    @contextmanager
    def watching(self, node: Node, between: Between) -> Iterator[Callable[[], Seen]]:
        """Look at frames on the node's uplink until the end of the block."""
        watch = Watch(node.uplink, between)
        with netns.inside(self._layout.namespace(node.name)):
            watch.start()
        try:
            yield watch.stop
        finally:
            watch.stop()

    # ---------- memory of the block
    def load_state(self) -> BlockState | None:
        """State of the block that holds the target, or None."""
        try:
            text = self._layout.state_file.read_text()
        except FileNotFoundError:
            return None
        return BlockState.model_validate_json(text)

    def save_state(self, state: BlockState | None) -> None:
        """Replace the state, durably and at once."""
        if state is None:
            delete_durably(self._layout.state_file)
        else:
            write_durably(self._layout.state_file, state.model_dump_json())

    def _namespace(self, place: Endpoint | Node) -> str:
        if isinstance(place, Node):
            return self._layout.namespace(place.name)
        if isinstance(place, PlacedEndpoint):
            return place.namespace
        raise CnibenchError(f"endpoint {place.name} was not made by target {self.name}")
