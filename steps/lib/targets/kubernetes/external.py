"""The client outside of the cluster: where the stages run, or a network namespace there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.models import AddressFamily, TargetSpec
from steps.lib.targets.kubernetes.external_tools import tools_of
from steps.lib.targets.namespaces import counters, programs, settings, sockets
from steps.lib.targets.namespaces.processes import Running
from steps.lib.targets.observations import Counters
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node

NAME = "external"


@dataclass(frozen=True, kw_only=True)
class ExternalEndpoint(Endpoint):
    """An endpoint where no agent is."""


class External:
    """Makes the external client's endpoint and runs tools in it.

    Args:
        spec: Whose ``external_client`` it is.
        toward: A node, by the way to which the client's device and address are found.
    """

    def __init__(self, spec: TargetSpec, toward: Node) -> None:
        self._toward = toward
        self._tools = tools_of(spec)

    @property
    def namespace(self) -> str | None:
        """Name of its network namespace; None if it is the one that we are in.

        Raises:
            InputError: the target has no external client, or there is no such namespace.
        """
        return self._tools.namespace

    @cached_property
    def node(self) -> Node:
        """The client as a place whose counters are read."""
        return self._known_by("ipv4")

    def _known_by(self, family: AddressFamily) -> Node:
        command = ["ip", "-json", "route", "get", self._toward.known_by(family).address]
        try:
            route = json.loads(programs.output(command, namespace=self.namespace))[0]
        except CnibenchError as error:
            raise RefusedError(
                f"the external client has no way to node {self._toward.name} by {family}: {error}"
            ) from error
        return Node(NAME, route["prefsrc"], route["dev"])

    @contextmanager
    def make(self, request: EndpointRequest) -> Iterator[ExternalEndpoint]:
        """The endpoint for the time of the block; its tools are killed at the end."""
        node = self._known_by(request.family)
        listed = programs.output(
            ["ip", "-json", "link", "show", "dev", node.uplink], namespace=self.namespace
        )
        try:
            yield ExternalEndpoint(
                name=request.name,
                kind="external",
                node=node,
                address=node.address,
                device=node.uplink,
                mtu_bytes=json.loads(listed)[0]["mtu"],
            )
        finally:
            self.take_away()

    def start(self, command: Sequence[str], group: str) -> Running:
        """Start a tool; it dies with the thread that calls this."""
        return self._tools.start(command, group)

    def wait_listening(self, port: int, protocol: str, timeout_s: float) -> None:
        """Wait for a socket of the client's network."""
        sockets.wait_listening(self.namespace, port, protocol, timeout_s)

    def counters(self) -> Counters:
        """Counters of the client's network."""
        return counters.read(self.namespace)

    def read_setting(self, name: str) -> str | None:
        """Value in force for the client."""
        return settings.read(self.namespace, name)

    def usage_s(self) -> Mapping[str, float]:
        """CPU seconds of the client's tools, by group."""
        return self._tools.usage_s()

    def throttled(self) -> dict[str, int]:
        """How often each control group of the client's tools had used up its share of CPU."""
        return {f"{NAME}:{group}": count for group, count in self._tools.throttled().items()}

    def take_away(self) -> None:
        """Kill the client's tools, also those of a killed run."""
        self._tools.take_away()
