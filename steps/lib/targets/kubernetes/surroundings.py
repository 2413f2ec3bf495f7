"""NetworkPolicies on the endpoints' pods with trials of what they let through; Services, pods."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.models import AddressFamily, Policy, Scale, family_of
from steps.lib.targets.kubernetes import objects, population
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.crowd import Crowd
from steps.lib.targets.kubernetes.endpoint_pods import LABELS, NAME_LABEL, placed
from steps.lib.targets.protocol import STRANGER, Endpoint, Population

API_VERSION = "networking.k8s.io/v1"
KIND = "NetworkPolicy"


@dataclass(frozen=True)
class Surroundings:
    """``protocol.Surroundings`` of a cluster."""

    api: Api
    agents: Agents
    crowd: Crowd

    @contextmanager
    def populated(self, scale: Scale | None, family: AddressFamily) -> Iterator[Population]:
        """Have so many Services, and pods, beside for the time of the block."""
        with ExitStack() as stack:
            start_ms: tuple[float, ...] = ()
            if scale and scale.services:
                stack.enter_context(population.populated(self.api, scale, family))
            if scale and scale.pods:
                start_ms = stack.enter_context(self.crowd.started(scale.pods))
            yield Population(start_ms)

    @contextmanager
    def applied(
        self, policy: Policy, server: Endpoint, client: Endpoint, ports: Sequence[int]
    ) -> Iterator[None]:
        """Have the API server hold the policy for the time of the block."""
        made = bodies(policy, server.name, client.name, ports, family_of(server.address))
        with afterwards(lambda: self._delete(made), "a NetworkPolicy was not deleted"):
            for body in made:
                objects.apply(self.api, body)
            yield

    @contextmanager
    def listening(self, server: Endpoint, ports: Sequence[int]) -> Iterator[None]:
        """Have a trial listen on ports of a pod."""
        place = placed(server)
        node = place.node.name
        where = {"container": place.network, "family": family_of(place.address)}
        number = self.agents.call(node, "open_ports", ports=list(ports), **where)
        with afterwards(
            lambda: self.agents.call(node, "close_ports", number=number),
            f"trial ports of {place.name} were not closed",
        ):
            yield

    def connects(self, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        """Whether a connection comes about."""
        place = placed(client)
        problem = self.agents.call(
            place.node.name,
            "connect",
            address=address,
            port=port,
            timeout_s=timeout_s * self.api.patience,
            container=place.network,
        )
        return problem is None

    def take_away_all(self) -> None:
        """Delete policies and Services that a killed process may have left. Idempotent.

        Its pods are taken away with the endpoints, whose labels they have.
        """
        population.take_away(self.api)
        found = objects.list_all(self.api, API_VERSION, KIND)
        self._delete([body for body in found if body["metadata"].get("labels", {}) == LABELS])

    def _delete(self, bodies: Sequence[objects.Object]) -> None:
        for body in bodies:
            wanted = objects.Reference(
                api_version=API_VERSION, kind=KIND, name=body["metadata"]["name"],
                namespace=body["metadata"]["namespace"],
            )  # fmt: skip
            objects.delete(self.api, wanted)


def bodies(
    policy: Policy, server: str, client: str, ports: Sequence[int], family: AddressFamily
) -> list[dict[str, Any]]:
    """The objects that a policy is made of; the rule that lets the client in comes last.

    The others name ranges of the family in which there is no pod.
    """
    first = population.FIRST_UNUSED[family]
    ways = [{"protocol": "TCP", "port": port} for port in ports]
    unused = [
        {"from": [{"ipBlock": {"cidr": f"{first + number}/{first.max_prefixlen}"}}], "ports": ways}
        for number in range(policy.rules - 1)
    ]
    lets_in = {"from": [{"podSelector": _sources(policy, client)}], "ports": ways}
    made = [_body("cnibench-allow", {"matchLabels": {NAME_LABEL: server}}, [*unused, lets_in])]
    if policy.kind == "default-deny":
        made.insert(0, _body("cnibench-default-deny", {}, []))
    return made


def _sources(policy: Policy, client: str) -> dict[str, Any]:
    """The pods that the last rule lets in."""
    if policy.kind != "deny":
        return {"matchLabels": {NAME_LABEL: client}}
    return {"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": [STRANGER]}]}


def _body(name: str, selector: dict[str, Any], ingress: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": ingress},
    }
