"""Policies with trials of what reaches a pod; more Services, more pods."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, CniChain, Policy, Scale, family_of
from steps.lib.targets.namespaces import netns, rules
from steps.lib.targets.namespaces.crowd import crowd
from steps.lib.targets.namespaces.endpoints import Endpoints
from steps.lib.targets.protocol import Endpoint, Population

BACKLOG = 16


@dataclass(frozen=True)
class Surroundings:
    """``protocol.Surroundings``. ``namespace`` gives an endpoint's, ``endpoints`` makes more."""

    namespace: Callable[[Endpoint], str]
    endpoints: Endpoints

    @contextmanager
    def populated(self, scale: Scale | None, family: AddressFamily) -> Iterator[Population]:
        """Load the rules of Services, and start pods; there is no control plane to wait for.

        Plugins that have such rules have no other family than IPv4.
        """
        with ExitStack() as stack:
            if scale and scale.services:
                if not self._has_rules:
                    raise RefusedError("the embedded target has no Services")
                script = rules.service_rules(scale)
                stack.enter_context(rules.loaded(self._nodes, rules.SERVICE_TABLE, script))
            start_ms = stack.enter_context(crowd(self.endpoints, scale.pods if scale else 0))
            yield Population(start_ms)

    @property
    def _nodes(self) -> list[str]:
        layout = self.endpoints.layout
        return [layout.namespace(node.name) for node in layout.nodes]

    @property
    def _has_rules(self) -> bool:
        installed = self.endpoints.installer.current()
        chain = installed.plugin.install if installed else None
        return isinstance(chain, CniChain) and chain.rules is not None

    @contextmanager
    def applied(
        self, policy: Policy, server: Endpoint, client: Endpoint, ports: Sequence[int]
    ) -> Iterator[None]:
        """Load the policy's rules on the server's node; the reference plugins know none."""
        if not self._has_rules:
            raise RefusedError("the embedded target has nobody who enforces a policy")
        layout = self.endpoints.layout
        node = next(node for node in layout.nodes if node.name == server.node.name)
        ends = (server.address, client.address)
        script = rules.policy_rules(policy, *ends, ports, layout.pod_cidr(node))
        with rules.loaded([layout.namespace(node.name)], rules.POLICY_TABLE, script):
            yield

    @contextmanager
    def listening(self, server: Endpoint, ports: Sequence[int]) -> Iterator[None]:
        """Listen on ports of a pod: a listening socket answers by itself."""
        with ExitStack() as stack:
            for port in ports:
                with netns.inside(self.namespace(server)):
                    listener = stack.enter_context(socket.socket(_family(server.address)))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("", port))
                listener.listen(BACKLOG)
            yield

    def connects(self, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        """Whether a connection comes about."""
        with netns.inside(self.namespace(client)):
            trial = socket.socket(_family(address))
        with trial:
            trial.settimeout(timeout_s)
            try:
                trial.connect((address, port))
            except OSError:
                return False
        return True


def _family(address: str) -> socket.AddressFamily:
    return {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[family_of(address)]
