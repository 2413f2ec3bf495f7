"""The client outside of the cluster: a network namespace of this machine, or the machine itself."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from steps.lib import tools
from steps.lib.errors import InputError
from steps.lib.models import TargetSpec
from steps.lib.targets.namespaces import counters, netns, processes, programs, settings, sockets
from steps.lib.targets.namespaces.cgroups import Groups, kill_all
from steps.lib.targets.observations import Counters
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node

NAME = "external"
OWN_NAMESPACE = "/proc/self/ns/net"
"""Stands for the machine itself: an absolute path takes the place of a namespace's name."""


@dataclass(frozen=True, kw_only=True)
class ExternalEndpoint(Endpoint):
    """An endpoint on this machine."""

    namespace: str


class External:
    """Makes the external client's endpoint and runs tools in it.

    Args:
        spec: Whose ``external_client`` it is.
        toward: A node, by the way to which the client's device and address are found.
    """

    def __init__(self, spec: TargetSpec, toward: Node) -> None:
        self._spec, self._toward = spec, toward
        self._groups = Groups(f"cnibench-{spec.name}-external")

    @cached_property
    def namespace(self) -> str:
        """Name of its network namespace.

        Raises:
            InputError: the target has no external client, or there is no such namespace.
        """
        if self._spec.external_client is None:
            raise InputError(
                "target.external_client is missing: external paths need a client outside of the "
                "cluster; write `external_client: {}` to use this machine"
            )
        name = self._spec.external_client.namespace
        if name is not None and not netns.is_whole(name):
            raise InputError(
                f"target.external_client.namespace: this machine has no network namespace {name!r}"
            )
        return name or OWN_NAMESPACE

    @cached_property
    def node(self) -> Node:
        """The client as a place whose counters are read."""
        command = ["ip", "-json", "route", "get", self._toward.address]
        route = json.loads(programs.output(command, namespace=self.namespace))[0]
        return Node(NAME, route["prefsrc"], route["dev"])

    @contextmanager
    def make(self, request: EndpointRequest) -> Iterator[ExternalEndpoint]:
        """The endpoint for the time of the block; its tools are killed at the end."""
        listed = programs.output(
            ["ip", "-json", "link", "show", "dev", self.node.uplink], namespace=self.namespace
        )
        try:
            yield ExternalEndpoint(
                name=request.name,
                kind="external",
                node=self.node,
                address=self.node.address,
                device=self.node.uplink,
                mtu_bytes=json.loads(listed)[0]["mtu"],
                namespace=self.namespace,
            )
        finally:
            self.take_away()

    def start(self, command: Sequence[str], group: str) -> processes.Running:
        """Start a tool; it dies with the thread that calls this."""
        toolbox = tools.toolbox_of(self._spec)
        return processes.start(self.namespace, toolbox, self._groups, group, command)

    def wait_listening(self, port: int, protocol: str, timeout_s: float) -> None:
        """Wait for a socket of the client's network."""
        sockets.wait_listening(self.namespace, port, protocol, timeout_s)

    def counters(self) -> Counters:
        """Counters of the client's network."""
        return counters.read(self.namespace)

    def read_setting(self, name: str) -> str | None:
        """Value in force for the client."""
        return settings.read(self.namespace, name)

    def usage_s(self) -> dict[str, float]:
        """CPU seconds of the client's tools, by group."""
        return self._groups.usage_s() if self._spec.external_client is not None else {}

    def take_away(self) -> None:
        """Kill the client's tools, also those of a killed run."""
        if self._spec.external_client is not None:
            kill_all(self._groups.processes)
            self._groups.remove()
