"""Any Kubernetes cluster as a target, by its API server alone.

What has to happen on a node is done by an agent, a privileged pod on it; what must outlive this
process lies in ConfigMaps. Everything of ours is in one namespace, and goes with it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

from steps.lib.errors import InputError, RefusedError
from steps.lib.models import HostNetwork, Plugin, TargetKind, TargetSpec
from steps.lib.setting import Look, Setting, Wanted, lacking_of, look_of
from steps.lib.state import BlockState
from steps.lib.targets.kubernetes import needs, probe, requirements
from steps.lib.targets.kubernetes import nodes as cluster
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.baseline import Baseline
from steps.lib.targets.kubernetes.endpoint_pods import expected_settings
from steps.lib.targets.kubernetes.endpoints import Endpoints
from steps.lib.targets.kubernetes.installer import Installer
from steps.lib.targets.kubernetes.memory import Holder, Memory, is_held, lease
from steps.lib.targets.kubernetes.node_marks import marks
from steps.lib.targets.kubernetes.plugin_memory import plugin_memory_bytes
from steps.lib.targets.kubernetes.surroundings import Surroundings
from steps.lib.targets.kubernetes.watching import watching
from steps.lib.targets.observations import Counters, CpuTimes, Sampling
from steps.lib.targets.protocol import (
    Endpoint,
    EndpointRequest,
    Installation,
    Inventory,
    Node,
    NodeFacts,
    Process,
    Target,
)
from steps.lib.targets.wire import Between, Watching

STATE = "cnibench-state"

_OF_THE_NODES = (
    "_names", "_members", "_measured", "_all_agents", "_agents", "_all_nodes", "_nodes",
    "_installer", "_endpoints",
)  # fmt: skip
"""What is found out once, and anew after the agents were taken away."""


class KubernetesTarget:
    """``protocol.Target`` on a cluster. Making one asks nothing; ``prepare`` brings the agents.

    Args:
        spec: The kubeconfig's context, the external client, the image of the tools.

    Raises:
        InputError: there is no such context.
    """

    kind: TargetKind = "kubernetes"

    def __init__(self, spec: TargetSpec) -> None:
        self.name: str = spec.name
        self._spec = spec
        self._api: Api = connect(spec.context or "")
        self._memory = Memory(self._api)
        self._baseline = Baseline(self._memory)

    @cached_property
    def environment_class(self) -> str:
        """What its nodes are."""
        return cluster.environment_class(self._measured)

    @cached_property
    def _names(self) -> list[str]:
        """Of all nodes that carry a plugin: those of the beginning, whoever came or went since."""
        text = self._memory.load(cluster.MEMBERS)
        return json.loads(text) if text else [n.metadata.name for n in cluster.linux(self._api)]

    @cached_property
    def _members(self) -> list[Any]:
        return cluster.those(self._api, self._names)

    @cached_property
    def _measured(self) -> list[Any]:
        return cluster.workers(self._members)[: cluster.NODE_COUNT]

    @cached_property
    def _all_agents(self) -> Agents:
        """Agents of all nodes, wherever they are: enough to take them away."""
        return Agents(self._api, self._spec.toolbox_image, self._names)

    @cached_property
    def _agents(self) -> Agents:
        """Agents on all nodes that report, brought there when they are first needed."""
        self._api.ensure_namespace()
        self._all_agents.ensure()
        return self._all_agents

    def _seen(self, members: Sequence[Any]) -> tuple[Node, ...]:
        # At the same time: each agent is started by the first question to it.
        known = {n.metadata.name: cluster.addresses_of(n) for n in members}
        told = self._agents.call_each(
            "facts", {n: {"address": a["ipv4"]} for n, a in known.items()}
        )
        return tuple(Node(n, a["ipv4"], told[n]["uplink"], a.get("ipv6")) for n, a in known.items())

    @cached_property
    def _all_nodes(self) -> tuple[Node, ...]:
        return self._seen(self._members)

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        names = {node.metadata.name for node in self._measured}
        return tuple(node for node in self._all_nodes if node.name in names)

    @cached_property
    def _installer(self) -> Installer:
        return Installer(
            self._api,
            self._agents,
            self._memory,
            self._all_nodes,
            cluster.placeholders(self._api),
            {node.metadata.name: cluster.pod_cidrs_of(node) for node in self._members},
            self._underlay_mtu,
        )

    def _underlay_mtu(self) -> int:
        state = self.load_state()
        return (state.mtu_bytes if state else None) or self._spec.underlay_mtu

    @cached_property
    def _endpoints(self) -> Endpoints:
        return Endpoints(
            self._api,
            self._agents,
            self._spec,
            self._nodes,
            self._has_pod_network,
            self._installer.namespaces,
            self._installer.workloads,
        )

    def _has_pod_network(self) -> bool:
        if (present := self._installer.current()) is None:
            raise RefusedError("no plugin is installed, so there can be no pod")
        return not isinstance(present.plugin.install, HostNetwork)

    # ---------- life of the target
    def missing_requirements(self) -> list[str]:
        """What keeps the cluster from being measured, each with what to do about it."""
        try:
            ours = bool(self._memory.names())
        except (InputError, RefusedError) as error:
            return [str(error)]
        return requirements.missing(self._api, self._spec.families, installed_by_us=ours)

    def unsupported(self, plugin: Plugin) -> str | None:
        """Why the nodes cannot run the plugin, found by looking at them."""
        if self.kind not in plugin.targets:
            return f"{plugin.name} is not for targets of kind {self.kind}"
        return needs.problem(self._agents, self._all_nodes, plugin.needs)

    @contextmanager
    def lock(self, workflow: str | None = None) -> Iterator[None]:
        """Hold the cluster against any other campaign, from wherever it is run."""
        self._api.ensure_namespace()
        holder = Holder.workflow(workflow) if workflow else Holder.this_process()
        with lease(self._api, self.name, holder, lambda: bool(workflow and self.load_state())):
            yield

    def prepare(self) -> None:
        """Remove whatever a killed run left; refuse nodes that are not as they once were.

        Raises:
            RefusedError: something is left that the plugin's removal does not cover.
        """
        self._memory.save(cluster.MEMBERS, json.dumps([node.name for node in self._all_nodes]))
        self.remove()
        if self.load_state() is not None:
            return  # A block's settings are still in force; they are put back next.
        for node in self._all_nodes:
            self._baseline.settle(node.name, self.inventory(node))

    def let_go(self) -> None:
        """Take the agents away, unless a block or another campaign needs them."""
        if self.load_state() is None and not is_held(self._api):
            self._take_down()

    def discard(self) -> None:
        """Remove the plugin and all that is ours; the state of an open block stays."""
        self.remove()
        if self.load_state() is None:
            for node in self._all_nodes:
                self._baseline.forget_if_met(node.name, self.inventory(node))
            self._memory.delete(cluster.MEMBERS)
            requirements.wait_without_network(self._api)
        self._take_down()

    def siblings(self) -> Sequence[Target]:
        """A cluster has no other campaign's target beside it: the lease is the cluster's."""
        return ()

    def _take_down(self) -> None:
        """Take the agents away, and our namespace if no document is left in it."""
        self._all_agents.remove()
        if not self._memory.names():
            self._api.delete_namespace()
        for name in _OF_THE_NODES:
            self.__dict__.pop(name, None)

    # ---------- nodes
    def nodes(self) -> Sequence[Node]:
        """Two worker nodes, the first by name."""
        return self._nodes

    def node(self, name: str) -> Node | None:
        """One of them; no other node is asked, since that one may not answer, or be gone."""
        found = self._seen([n for n in cluster.linux(self._api) if n.metadata.name == name])
        return found[0] if found else None

    def all_nodes(self) -> Sequence[Node]:
        """Every Linux node, of the control plane too: plugins are installed there as well."""
        return self._all_nodes

    def facts(self, node: Node) -> NodeFacts:
        """What the node is, as its agent sees it."""
        return self._agents.facts(node)

    def inventory(self, node: Node) -> Inventory:
        """What there is on the node and on its object, without anything volatile."""
        found = dict(self._agents.inventory(node))
        return found | marks(self._api.call(self._api.core.read_node, node.name))

    # ---------- plugin
    def install(self, plugin: Plugin, install_id: str) -> None:
        """Put the plugin on every node and wait until it says that it is ready."""
        self._installer.install(plugin, install_id)

    def installation(self) -> Installation | None:
        """What is installed right now, read back; None if nothing is."""
        return self._installer.installation()

    def prove(self, plugin: Plugin) -> None:
        """Pod to pod on one node and across, a Service, a name, node to pod."""
        if not isinstance(plugin.install, HostNetwork):
            probe.prove(self._api, self._agents, self._nodes, self._spec)

    def remove(self) -> None:
        """End our endpoints, then all pods of the pod network, then the plugin."""
        self._endpoints.take_away_all()
        self._installer.remove()

    # ---------- settings
    def lacking(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, str]:
        """What measured nodes lack."""
        return lacking_of(wanted, {n.name: self.look_up(n, wanted) for n in self.nodes()})

    def look_up(self, node: Node, wanted: Sequence[Wanted]) -> Sequence[Look]:
        """What each entry comes down to on the node."""
        told = self._agents.call(node.name, "look_up", uplink=node.uplink, wanted=wanted)
        return [look_of(look) for look in told]

    def read_settings(
        self, node: Node, settings: Sequence[Setting]
    ) -> Mapping[Setting, str | None]:
        """Values in force on the node."""
        asked = {"uplink": node.uplink, "settings": settings}
        values = self._agents.call(node.name, "read_node_settings", **asked)
        return dict(zip(settings, values, strict=True))

    def write_setting(self, node: Node, setting: Setting, value: str) -> None:
        """Set a value on the node."""
        self._agents.call(
            node.name, "write_node_setting", uplink=node.uplink, setting=setting, value=value
        )

    def expected_in_endpoint(
        self, endpoint: Endpoint, tuned: Mapping[Setting, str]
    ) -> Mapping[str, str]:
        """Settings of nodes where the endpoint is one; of pods what a new namespace inherits."""
        return expected_settings(endpoint, tuned)

    def read_endpoint_setting(self, endpoint: Endpoint, name: str) -> str | None:
        """Value in force inside the endpoint; None where it is not visible there."""
        return self._endpoints.read_setting(endpoint, name)

    # ---------- endpoints and traffic
    def endpoint(self, request: EndpointRequest) -> AbstractContextManager[Endpoint]:
        """Make an endpoint, and take it away at the end, also after an error."""
        return self._endpoints.make(request)

    def resolve(self, client: Endpoint, server: Endpoint) -> str:
        """Ask the cluster's DNS in the client for the name of the server's Service."""
        return self._endpoints.resolve(client, server)

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> Process:
        """Start a tool in the endpoint."""
        return self._endpoints.start(endpoint, command, group)

    def wait_listening(
        self, endpoint: Endpoint, port: int, protocol: str, timeout_s: float, group: str = "server"
    ) -> None:
        """Look at the endpoint's socket table until the port is there; never connect to it."""
        self._endpoints.wait_listening(endpoint, port, protocol, timeout_s, group)

    @property
    def surroundings(self) -> Surroundings:
        """What else there is around its endpoints."""
        return self._endpoints.surroundings

    # ---------- readings
    def cpu(self) -> CpuTimes:
        """CPU of all nodes; nodes of one kernel are counted once."""
        return self._endpoints.reading({})[0]

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """CPU of all nodes and the counters of each place, one question to each agent."""
        return self._endpoints.reading(places)

    def plugin_memory_bytes(self) -> int:
        """Memory of the plugin's pods on the measured nodes."""
        nodes = [node.name for node in self._nodes]
        return plugin_memory_bytes(self._api, self._agents, nodes, self._installer.workloads())

    def sampling(self, frequency_hz: int) -> AbstractContextManager[Sampling]:
        """Sample the CPUs of all measured nodes, by their agents."""
        return self._endpoints.sampling(frequency_hz)

    def watching(self, node: Node, between: Between) -> Watching:
        """Look at frames on the node's uplink, by its agent."""
        return watching(self._agents, node, between)

    # ---------- memory of the block
    def load_state(self) -> BlockState | None:
        """State of the block that holds the target, or None."""
        text = self._memory.load(STATE)
        return None if text is None else BlockState.model_validate_json(text)

    def save_state(self, state: BlockState | None) -> None:
        """Replace the state, durably and at once."""
        if state is None:
            self._memory.delete(STATE)
        else:
            self._memory.save(STATE, state.model_dump_json())
