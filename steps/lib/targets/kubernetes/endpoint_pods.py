"""Pods that are endpoints: what they are made of, and what is known of one that runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.lib.errors import CnibenchError
from steps.lib.setting import Setting
from steps.lib.targets.kubernetes.api import PART_OF
from steps.lib.targets.kubernetes.launcher import FIFO, LAUNCHER, MARK_VARIABLE
from steps.lib.targets.namespaces.settings import is_inherited
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node

LABELS = PART_OF | {"app.kubernetes.io/component": "endpoint"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
NAME_LABEL = "cnibench.io/endpoint"

GROUPS = ("client", "server")
"""A container each: two tools may run in one pod, and their CPU is told apart by containers."""


@dataclass(frozen=True, kw_only=True)
class PodEndpoint(Endpoint):
    """An endpoint in a pod. ``containers`` are identifiers by the group that runs there."""

    pod: str
    uid: str
    mark: str
    containers: Mapping[str, str]
    host_network: bool

    @property
    def network(self) -> str | None:
        """The container whose network it is, as the agents take it; None is the node's."""
        return None if self.host_network else next(iter(self.containers.values()))


def body(
    name: str, request: EndpointRequest, node: Node, *, image: str, host_network: bool, mark: str
) -> dict[str, Any]:
    """The pod of an endpoint: a launcher for each tool that may have to run there."""
    # A client's pod holds nothing else; a server's may have to hold both ends of a path.
    groups = (*(GROUPS if request.name != "client" else GROUPS[:1]), *request.groups)
    return {
        "metadata": {"name": name, "labels": LABELS | {NAME_LABEL: request.name}},
        "spec": _spec(node)
        | {
            "hostNetwork": host_network,
            "shareProcessNamespace": True,
            "containers": [_container(group, image, mark) for group in groups],
        },
    }


def idle(name: str, role: str, node: Node, image: str) -> dict[str, Any]:
    """A pod that does nothing."""
    return {
        "metadata": {"name": name, "labels": LABELS | {NAME_LABEL: role}},
        "spec": _spec(node)
        | {
            "containers": [
                {
                    "name": role,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                }
            ],
        },
    }


def _spec(node: Node) -> dict[str, Any]:
    return {
        "nodeName": node.name,
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        # With 0 the API server forgets the pod at once, and its network is left to a plugin that
        # may be gone by then.
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }


def _container(group: str, image: str, mark: str) -> dict[str, Any]:
    return {
        "name": group,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", LAUNCHER, FIFO],
        # Congestion controls that only an administrator may choose are chosen by some cells.
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
        "env": [{"name": MARK_VARIABLE, "value": mark}],
    }


def expected_settings(endpoint: Endpoint, tuned: Mapping[Setting, str]) -> dict[str, str]:
    """Settings of tuned nodes that a fresh endpoint must show.

    In a lab whose nodes are namespaces, pods inherit from the machine and not from their node: such
    a profile is then not in force in pods, and the gate says so.
    """
    if endpoint.kind == "external":
        return {}
    return {
        setting.name: value
        for setting, value in tuned.items()
        if setting.kind == "sysctl" and (endpoint.kind == "host" or is_inherited(setting.name))
    }


def placed(endpoint: Endpoint) -> PodEndpoint:
    """The endpoint as the one of ours that it is."""
    if not isinstance(endpoint, PodEndpoint):
        raise CnibenchError(f"endpoint {endpoint.name} was not made by this target")
    return endpoint


def where(place: Endpoint | Node) -> tuple[Node, str | None]:
    """The node of a place, and the container whose network it is, as the agents take it."""
    if isinstance(place, Node):
        return place, None
    return place.node, place.network if isinstance(place, PodEndpoint) else None
