"""A cluster of the lab with a plain pod network, for tests that need pods and no plugin."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kubernetes import client

from lab.layout import Lab
from steps.lib.models import TargetSpec
from steps.lib.models.campaign import ExternalClient
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.endpoints import Endpoints
from steps.lib.targets.protocol import Node
from tests.lab.labs import TARGET

BRIDGE = "trial0"
CONFIGURATION = "/etc/cni/net.d/10-trial.conflist"
STATE_DIRECTORY = "/var/lib/cni/trial"
READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Attached:
    """The target cluster as the modules below the target see it."""

    api: Api
    spec: TargetSpec
    agents: Agents
    nodes: tuple[Node, ...]
    pod_cidrs: dict[str, str]

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def endpoints(self) -> Endpoints:
        return Endpoints(self.api, self.agents, self.spec, self.nodes)


def specification(lab: Lab) -> TargetSpec:
    """The lab's target as a campaign names it."""
    return TargetSpec(
        kind="kubernetes",
        name=lab.name,
        context=lab.context(TARGET),
        external_client=ExternalClient(namespace=f"cnib-{lab.name}-client"),
    )


@contextmanager
def attached(lab: Lab) -> Iterator[Attached]:
    """Agents on the nodes of the lab's target, gone afterwards."""
    spec = specification(lab)
    api = connect(lab.context(TARGET))
    api.ensure_namespace()
    found = sorted(api.call(api.core.list_node).items, key=lambda node: str(node.metadata.name))
    nodes = tuple(Node(n.metadata.name, n.status.addresses[0].address, "eth0") for n in found)
    agents = Agents(api, spec.toolbox_image, [node.name for node in nodes])
    agents.ensure()
    cidrs = {node.metadata.name: node.spec.pod_cidr for node in found}
    try:
        yield Attached(api, spec, agents, nodes, cidrs)
    finally:
        agents.remove()


@contextmanager
def daemon_set(
    api: Api, name: str, tolerations: list[dict[str, str]], labels: dict[str, str] | None = None
) -> Iterator[None]:
    """A DaemonSet in ``default`` whose pods need the pod network."""
    app = {"app": name}
    container = {"name": "main", "image": "registry.k8s.io/pause:3.10"}
    spec = {"containers": [container], "tolerations": tolerations}
    body = {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "selector": {"matchLabels": app},
            "template": {"metadata": {"labels": app}, "spec": spec},
        },
    }
    apps = client.AppsV1Api(api.client)
    api.call(apps.create_namespaced_daemon_set, "default", body)
    try:
        yield
    finally:
        api.get(apps.delete_namespaced_daemon_set, name, "default")


@contextmanager
def pod_network(cluster: Attached) -> Iterator[None]:
    """A bridge on each node and a route to the other: the least that pods need."""
    lay_out(cluster)
    wait_ready(cluster)
    try:
        yield
    finally:
        cluster.endpoints().take_away_all()
        _empty(cluster)
        for node in cluster.nodes:
            routes = [cidr for name, cidr in cluster.pod_cidrs.items() if name != node.name]
            actions = {
                "paths": [CONFIGURATION, STATE_DIRECTORY],
                "links": [BRIDGE],
                "routes": routes,
                "nft_tables": ["inet cni_plugins_masquerade"],
            }
            told = cluster.agents.call(node.name, "clean", actions=actions)
            assert told["problems"] == []
        _open(cluster.api, cluster.names, True)


def _empty(cluster: Attached) -> None:
    """End every pod that has a network, while it can still be ended."""
    api = cluster.api
    _open(api, cluster.names, False)
    deadline = time.monotonic() + READY_TIMEOUT_S
    while networked := [
        pod
        for pod in api.call(api.core.list_pod_for_all_namespaces).items
        if pod.spec.node_name and not pod.spec.host_network
    ]:
        assert time.monotonic() < deadline, "the pods do not end"
        for pod in networked:
            if pod.metadata.deletion_timestamp is None:
                metadata = pod.metadata
                api.get(api.core.delete_namespaced_pod, metadata.name, metadata.namespace)
        time.sleep(0.2)


def _open(api: Api, names: list[str], is_open: bool) -> None:
    for name in names:
        api.call(api.core.patch_node, name, {"spec": {"unschedulable": not is_open}})


def lay_out(cluster: Attached) -> None:
    """Also for a node that came back: it has lost its routes."""
    for node in cluster.nodes:
        for peer in cluster.nodes:
            if peer != node:
                route = ["ip", "route", "replace", cluster.pod_cidrs[peer.name], "via"]
                cluster.agents.call(node.name, "run", command=[*route, peer.address])
        text = json.dumps(_configuration(cluster.pod_cidrs[node.name]))
        cluster.agents.call(node.name, "write_file", path=CONFIGURATION, text=text)


def wait_ready(cluster: Attached) -> None:
    """Wait until the kubelets have seen the network."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not all(_is_ready(cluster.api, name) for name in cluster.names):
        assert time.monotonic() < deadline, "the nodes do not become ready"
        time.sleep(0.2)


def _is_ready(api: Api, name: str) -> bool:
    conditions = api.call(api.core.read_node, name).status.conditions
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def _configuration(cidr: str) -> dict[str, object]:
    ipam = {
        "type": "host-local",
        "dataDir": STATE_DIRECTORY,
        "ranges": [[{"subnet": cidr}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        # Else pods, those of the cluster's DNS among them, get no answer from the API server.
        "ipMasq": True,
        "ipMasqBackend": "nftables",
        "mtu": 1450,
        "ipam": ipam,
    }
    return {"cniVersion": "1.0.0", "name": "trial", "plugins": [bridge]}
