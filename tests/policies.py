"""A plugin of the embedded target that enforces policies: the nodes' packet filter, for tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from steps.lib.models import Plugin, Policy
from steps.lib.targets.namespaces.surroundings import Surroundings
from steps.lib.targets.protocol import Endpoint
from tests.jobs import plugin
from tests.offences import Meddled


@dataclass(frozen=True)
class Filtered(Surroundings):
    """Closes the server's ports to all but the client, on the server's node, and lets no ping in.

    Attributes:
        target: Whose nodes they are.
        covered: Ports that the filter covers; None for all that it is asked for.
    """

    target: Meddled
    covered: tuple[int, ...] | None = None

    @classmethod
    def of(cls, target: Meddled, covered: tuple[int, ...] | None = None) -> "Filtered":
        """On the nodes of a target."""
        return cls(target._namespace, target._endpoints, target, covered)

    @contextmanager
    def applied(
        self, policy: Policy, server: Endpoint, client: Endpoint, ports: Sequence[int]
    ) -> Iterator[None]:
        """The filter of the node, for the time of the block."""
        shut = ", ".join(map(str, self.covered or ports))
        where = f"ip daddr {server.address} ip saddr != {client.address} tcp dport {{ {shut} }}"
        chain = "{ type filter hook forward priority 0; }"
        rules = f"add table ip closed; add chain ip closed c {chain}; "
        silent = f"add rule ip closed c ip daddr {server.address} icmp type echo-request drop"
        self.target.on_node(1, "nft", f"{rules}add rule ip closed c {where} drop; {silent}")
        try:
            yield
        finally:
            self.target.on_node(1, "nft", "delete table ip closed")


def enforcing() -> Plugin:
    """The plugin of the embedded target that says so."""
    return plugin("ptp-rules")
