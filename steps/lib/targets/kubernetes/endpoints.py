"""Endpoints: pods on given nodes, the nodes themselves, the client outside of the cluster."""

import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.errors import CnibenchError, RefusedError, TransientError
from steps.lib.models import TargetSpec, family_of
from steps.lib.targets.kubernetes import pods, readings
from steps.lib.targets.kubernetes.agents import Agents, Answer
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.crowd import Crowd
from steps.lib.targets.kubernetes.endpoint_pods import (
    GROUPS,
    SELECTOR,
    PodEndpoint,
    body,
    placed,
    where,
)
from steps.lib.targets.kubernetes.external import External, ExternalEndpoint
from steps.lib.targets.kubernetes.launcher import FIFO, new_mark
from steps.lib.targets.kubernetes.processes import Ended, Launched, Running
from steps.lib.targets.kubernetes.readings import Strangers
from steps.lib.targets.kubernetes.sampling import Owners, sampling
from steps.lib.targets.kubernetes.services import Services
from steps.lib.targets.kubernetes.surroundings import Surroundings
from steps.lib.targets.observations import Counters, CpuTimes, Owner, Sampling
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node, Process

PROBE = "probe"
PROBE_TIMEOUT_S = 20.0
LISTEN_POLL_S = 0.01
RESOLVE_TIMEOUT_S = 30.0
RESOLVE_POLL_S = 0.25

DATABASES = {"ipv4": "ahostsv4", "ipv6": "ahostsv6"}
"""Of getent, for names of one address family."""


class Endpoints:
    """Makes and takes away endpoints, runs tools in them, and reads their counters.

    Args:
        api: The cluster.
        agents: On all nodes.
        spec: Image of the tools, external client.
        nodes: Of the target.
        has_pod_network: Whether the installed plugin gives pods a network of their own; else they
            share their node's. Raises RefusedError if no plugin is installed.
        plugin_namespaces: Whose pods are the installed plugin's.
        plugin_workloads: Its own, ``<namespace>/<name>``.
    """

    def __init__(
        self,
        api: Api,
        agents: Agents,
        spec: TargetSpec,
        nodes: Sequence[Node],
        has_pod_network: Callable[[], bool] = lambda: True,
        plugin_namespaces: Callable[[], Collection[str]] = tuple,
        plugin_workloads: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._api, self._agents, self._spec, self._nodes = api, agents, spec, tuple(nodes)
        self._has_pod_network = has_pod_network
        self._plugin_namespaces = plugin_namespaces
        self._plugin_workloads = plugin_workloads
        self._strangers = Strangers(api, plugin_namespaces)
        self._owned: dict[str, Owner] = {}
        """Whose each pod is that was seen, by its identifier."""
        crowd = Crowd(api, agents, self._nodes, spec.toolbox_image)
        self.surroundings = Surroundings(api, agents, crowd)
        self._services = Services(api, agents, self._nodes)
        self._asked_for: set[str] = set()
        """Names of pods whose endpoints are in use, from before they are made."""
        self._ending: set[str] = set()
        """Names of pods that were told to end and not yet waited for."""
        self._present: dict[str, PodEndpoint] = {}
        self._running: dict[tuple[str, str], Running] = {}

    @cached_property
    def _external(self) -> External:
        return External(self._spec, self._nodes[0])

    # ---------- life
    @contextmanager
    def make(self, request: EndpointRequest) -> Iterator[Endpoint]:
        """Make an endpoint for the time of the block; its tools end with it.

        Of several at a time none is waited for but by the last that goes: their pods end together.

        Raises:
            RefusedError: the pod does not start or is not gone, or a Service does not work.
            InputError: the target has no external client.
        """
        if request.kind == "external":
            with self._external.make(request) as endpoint:
                yield endpoint
            return
        name = f"cnibench-{request.name}"
        if name in self._ending:
            self._wait_gone()
        self._asked_for.add(name)
        with afterwards(lambda: self._take_away(name), f"pod={name} could not be taken away"):
            yield self._made(name, request)

    def take_away_all(self) -> None:
        """Delete every pod, Service and policy that a killed process may have left. Idempotent."""
        api = self._api
        self.surroundings.take_away_all()
        services = api.get(api.core.list_namespaced_service, NAMESPACE, label_selector=SELECTOR)
        for service in services.items if services else ():
            self._services.delete(service.metadata.name)
        listed = api.get(api.core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR)
        pods.delete(api, *(pod.metadata.name for pod in (listed.items if listed else ())))
        self._ending.clear()
        self._present.clear()
        self._running.clear()
        self._external.take_away()

    # ---------- traffic
    def resolve(self, client: Endpoint, server: Endpoint) -> str:
        """Ask in the client's container for the name of the server's Service, until it is told.

        What the cluster's DNS told of the Service's last pod is remembered there for some seconds.

        Raises:
            RefusedError: another address, or none, is told for too long.
        """
        asker, wanted = placed(client), placed(server)
        container = next(iter(asker.containers.values()))
        name = f"{wanted.pod}.{NAMESPACE}.svc"
        command = ["timeout", "5", "getent", DATABASES[family_of(wanted.address)], name]
        deadline = time.monotonic() + RESOLVE_TIMEOUT_S * self._api.patience
        while True:
            told = self._agents.call(
                asker.node.name, "run_in_container", container=container, command=command
            )
            found = (told["stdout"].split() or ["nothing"])[0]
            if found == wanted.address:
                return str(found)
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{name} gives {found}, not {wanted.address}, in pod {asker.pod} after "
                    f"{RESOLVE_TIMEOUT_S:g} s; look at the cluster's DNS {told['stderr'].strip()}"
                )
            time.sleep(RESOLVE_POLL_S)

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> Process:
        """Start a tool in an endpoint, once for each group; probes as often as one likes.

        Probes run at once to their end, in the endpoint's network but beside its containers.
        """
        if isinstance(endpoint, ExternalEndpoint):
            return self._external.start(command, group)
        place = placed(endpoint)
        if group == PROBE:
            return Ended(tuple(command), self._probed(place, command))
        container = place.containers.get(group)
        if container is None:
            raise CnibenchError(f"endpoint {place.name} was not made for the group {group!r}")
        launched = self._agents.call(
            place.node.name, "launch", container=container, fifo=FIFO, line=shlex.join(command)
        )
        if not launched and (place.pod, group) in self._running:
            raise CnibenchError(f"a {group} was started in {place.pod} before: it takes one only")
        where = Launched(place.pod, place.node.name, group, container, place.mark)
        running = Running(self._api, self._agents, where, tuple(command))
        self._running[place.pod, group] = running
        return running

    def wait_listening(
        self, endpoint: Endpoint, port: int, protocol: str, timeout_s: float, group: str = "server"
    ) -> None:
        """Look at the endpoint's socket table until the port is there; never connect to it.

        Raises:
            RefusedError: a tool of the endpoint ended instead.
            TransientError: nothing listens in time.
        """
        if isinstance(endpoint, ExternalEndpoint):
            self._external.wait_listening(port, protocol, timeout_s)
            return
        place = placed(endpoint)
        deadline = time.monotonic() + timeout_s
        server = self._running.get((place.pod, group))
        # Another server on a node's port would be measured in place of ours.
        owner = place.containers[group] if server is not None else None
        wanted = {"port": port, "protocol": protocol, "container": place.network, "owner": owner}
        while not self._agents.call(place.node.name, "listening", **wanted):
            if server is not None and server.has_ended:
                status, said = server.stop(0.0)
                # Some tools tell their errors in the document that they print.
                words = (said or server.stdout.read()).decode("utf-8", "replace").strip()[-300:]
                raise RefusedError(
                    f"{server.command[0]} in {place.name} ended with {status} before it listened "
                    f"on {protocol} port {port}: {words}"
                )
            if time.monotonic() > deadline:
                raise TransientError(
                    f"nothing listens on {protocol} port {port} in {place.name} after "
                    f"{timeout_s:g} s"
                )
            time.sleep(LISTEN_POLL_S)

    # ---------- readings
    def read_setting(self, endpoint: Endpoint, name: str) -> str | None:
        """Value in force inside an endpoint; None where it is not visible there."""
        if isinstance(endpoint, ExternalEndpoint):
            return self._external.read_setting(name)
        place = placed(endpoint)
        value: str | None = self._agents.call(
            place.node.name, "read_setting", name=name, container=place.network
        )
        return value

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """CPU of all nodes and counters of the places, by one question to each node at once."""
        asked: dict[str, dict[str, Any]] = {
            node.name: {"places": {}, "containers": self._containers(node)} for node in self._nodes
        }
        outside = []
        for name, place in places.items():
            node, container = where(place)
            if node.name in asked:
                asked[node.name]["places"][name] = container
            else:
                outside.append(name)
        answers = self._agents.answers("reading", asked)
        found = {name: self._external.counters() for name in outside}
        for answer in answers.values():
            found |= {n: readings.counters(text) for n, text in answer.result["counters"].items()}
        return self._with_external(answers), found

    def sampling(self, frequency_hz: int) -> AbstractContextManager[Sampling]:
        """Sample the CPUs of the nodes until the end of the block; of each kernel once."""
        times, _ = self.reading({})
        return sampling(self._agents, list(times.kernels), self._owners(), frequency_hz)

    def _plugin_pods(self, pods: Collection[str]) -> list[str]:
        """Those of the plugin; asked once of each, since a reading takes part of the window."""
        if unknown := set(pods) - self._owned.keys():
            self._owned |= self._owners().of(unknown)
        return [pod for pod in pods if self._owned[pod] == "plugin"]

    def _owners(self) -> Owners:
        namespaces, workloads = self._plugin_namespaces(), self._plugin_workloads()
        return Owners(self._strangers.named, namespaces, workloads)

    def _containers(self, node: Node) -> dict[str, str]:
        """Containers of our endpoints on a node, with their pods."""
        places = [place for place in self._present.values() if place.node.name == node.name]
        return {each: place.uid for place in places for each in place.containers.values()}

    def _with_external(self, answers: Mapping[str, Answer]) -> CpuTimes:
        groups: dict[str, list[str]] = {group: [] for group in GROUPS}
        for place in self._present.values():
            for group, container in place.containers.items():
                groups.setdefault(group, []).append(container)
        times = readings.cpu_times(answers, groups, self._strangers, self._plugin_pods)
        outside = self._external.usage_s()
        together = {
            name: times.groups.get(name, 0.0) + outside.get(name, 0.0)
            for name in {*times.groups, *outside}
        }
        held = {**times.throttled, **self._external.throttled()}
        return replace(times, groups=together, throttled=held)

    # ---------- pods
    def _made(self, name: str, request: EndpointRequest) -> PodEndpoint:
        node = self._nodes[request.node_index].known_by(request.family)
        host_network = request.kind == "host" or not self._has_pod_network()
        mark = new_mark()
        started_s = time.perf_counter()
        image = self._spec.toolbox_image
        pods.create(
            self._api,
            body(name, request, node, image=image, host_network=host_network, mark=mark),
        )
        pod = pods.wait_started(self._api, name)
        start_ms = (time.perf_counter() - started_s) * 1e3
        containers = {
            status.name: status.container_id.partition("://")[2]
            for status in pod.status.container_statuses
        }
        first, address = next(iter(containers.values())), pods.address(pod, request.family)
        seen = self._agents.call(node.name, "pod_network", container=first, address=address)
        place = PodEndpoint(
            name=request.name,
            kind=request.kind,
            node=node,
            address=address,
            start_ms=start_ms,
            pod=name,
            uid=pod.metadata.uid,
            mark=mark,
            containers=containers,
            host_network=host_network,
            **seen,
        )
        if request.published_ports:
            place = self._published(place, request)
        self._present[name] = place
        return place

    def _published(self, place: PodEndpoint, request: EndpointRequest) -> PodEndpoint:
        ports, family = request.published_ports, request.family
        if request.headless:
            self._services.name(place.pod, place.name, ports, family)
            return place
        started_s = time.perf_counter()
        address = self._services.publish(place.pod, place.name, ports, family)
        self._services.wait_works(place.pod, address, place.node, place.network, ports)
        ready_ms = (time.perf_counter() - started_s) * 1e3
        return replace(place, service_address=address, service_ready_ms=ready_ms)

    def _take_away(self, name: str) -> None:
        self._asked_for.discard(name)
        self._present.pop(name, None)
        for key in [key for key in self._running if key[0] == name]:
            del self._running[key]
        self._services.delete(name)
        pods.end(self._api, name)
        self._ending.add(name)
        if not self._asked_for:
            self._wait_gone()

    def _wait_gone(self) -> None:
        names, self._ending = self._ending, set()
        pods.wait_gone(self._api, *names)

    def _probed(self, place: PodEndpoint, command: Sequence[str]) -> dict[str, Any]:
        told: dict[str, Any] = self._agents.call(
            place.node.name,
            "run",
            command=list(command),
            container=place.network,
            timeout_s=PROBE_TIMEOUT_S,
        )
        return told
