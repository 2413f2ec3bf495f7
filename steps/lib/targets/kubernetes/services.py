"""Services of ours: one for each endpoint whose ports are published, awaited until it works."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, family_of
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, AnswerError, Api
from steps.lib.targets.kubernetes.endpoint_pods import LABELS, NAME_LABEL
from steps.lib.targets.kubernetes.objects import single_stack
from steps.lib.targets.protocol import Node

WORKS_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 0.5
POLL_S = 0.05
PROTOCOLS = ("TCP", "UDP")


@dataclass(frozen=True)
class Services:
    """Publishes pods. ``nodes`` are those from which a Service must work."""

    api: Api
    agents: Agents
    nodes: Sequence[Node]

    def publish(self, name: str, endpoint: str, ports: Sequence[int], family: AddressFamily) -> str:
        """Make a Service that opens ports of a pod under their own numbers on every node.

        Returns:
            Its address in the cluster.

        Raises:
            RefusedError: a port is taken, or is none that Services may have.
        """
        made = [_port(port, protocol) for port in ports for protocol in PROTOCOLS]
        try:
            return self._made(name, endpoint, family, {"type": "NodePort", "ports": made})
        except AnswerError as error:
            raise RefusedError(f"ports {list(ports)} cannot be published: {error}") from error

    def name(self, name: str, endpoint: str, ports: Sequence[int], family: AddressFamily) -> None:
        """Make a Service without an address: its name tells the pod's, once the pod is ready."""
        made = [_port(port, protocol) for port in ports for protocol in PROTOCOLS]
        for each in made:
            del each["nodePort"]
        self._made(name, endpoint, family, {"clusterIP": "None", "ports": made})
        self._wait_endpoint(name, time.monotonic() + WORKS_TIMEOUT_S)

    def _made(self, name: str, endpoint: str, family: AddressFamily, more: dict[str, Any]) -> str:
        """Make a Service of an endpoint's pod anew; its address."""
        self.delete(name)
        spec = {"selector": {NAME_LABEL: endpoint}, **single_stack(family), **more}
        body = {"metadata": {"name": name, "labels": LABELS}, "spec": spec}
        core = self.api.core
        service = pods.create_once(
            self.api, core.create_namespaced_service, core.read_namespaced_service, body
        )
        return str(service.spec.cluster_ip)

    def delete(self, name: str) -> None:
        """Take a Service away. Absent is fine."""
        self.api.get(self.api.core.delete_namespaced_service, name, NAMESPACE)

    def wait_works(
        self, name: str, address: str, node: Node, container: str | None, ports: Sequence[int]
    ) -> None:
        """Wait until connections to the Service reach the pod, from every node.

        Whoever makes Services work on the nodes does it some time after the API server was told.
        A trial listens in the pod meanwhile, since the tool does not yet: connecting to that one
        later would end it.

        Args:
            name: Of the Service.
            address: Of the Service.
            node: Where the pod is, known by the family of the Service.
            container: Of the pod; None if it uses the node's network.
            ports: That are published.

        Raises:
            RefusedError: it does not work in time, with what was seen last.
        """
        deadline = time.monotonic() + WORKS_TIMEOUT_S
        self._wait_endpoint(name, deadline)
        where = {"container": container, "family": family_of(address)}
        number = self.agents.call(node.name, "open_ports", ports=list(ports), **where)

        def close() -> None:
            self.agents.call(node.name, "close_ports", number=number)

        with afterwards(close, f"Service {name}: its trial ports were not closed"):
            for client in self.nodes:
                addresses = [address] if client.name == node.name else [address, node.address]
                for each in addresses:
                    self._wait_connected(client, each, ports, deadline)

    def _wait_endpoint(self, name: str, deadline: float) -> None:
        """Wait until the control plane has found the pod for the Service."""
        selector = f"kubernetes.io/service-name={name}"
        while True:
            listed = self.api.call(
                self.api.discovery.list_namespaced_endpoint_slice,
                NAMESPACE,
                label_selector=selector,
            )
            ends = [end for part in listed.items for end in part.endpoints or []]
            if any(end.conditions.ready for end in ends):
                return
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"Service {name} has no ready endpoint after {WORKS_TIMEOUT_S:g} s: "
                    f"{len(ends)} in its EndpointSlices; its pod is not ready"
                )
            time.sleep(POLL_S)

    def _wait_connected(
        self, client: Node, address: str, ports: Sequence[int], deadline: float
    ) -> None:
        for port in ports:
            while problem := self.agents.call(
                client.name,
                "connect",
                address=address,
                port=port,
                timeout_s=CONNECT_TIMEOUT_S,
            ):
                if time.monotonic() > deadline:
                    raise RefusedError(
                        f"a Service does not work on node {client.name} after "
                        f"{WORKS_TIMEOUT_S:g} s: {address} port {port}: {problem}"
                    )
                time.sleep(POLL_S)


def _port(port: int, protocol: str) -> dict[str, Any]:
    return {
        "name": f"{protocol.lower()}-{port}",
        "protocol": protocol,
        "port": port,
        "targetPort": port,
        "nodePort": port,
    }
