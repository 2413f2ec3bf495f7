"""Endpoints: pods attached by the installed plugin, nodes themselves, the external client."""

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from steps.lib.errors import CnibenchError, InputError, RefusedError
from steps.lib.models import CniChain, Model
from steps.lib.targets.namespaces import netns, settings
from steps.lib.targets.namespaces.cgroups import kill_all
from steps.lib.targets.namespaces.cni import LOOPBACK, Attachment, Runtime
from steps.lib.targets.namespaces.dual_stack import AT_ONCE_IPV6
from steps.lib.targets.namespaces.files import write_durably
from steps.lib.targets.namespaces.installer import Installed, Installer
from steps.lib.targets.namespaces.layout import POD_DEVICE, Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.namespaces.topology import QUIET_IPV6, set_now
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node

logger = logging.getLogger(__name__)

PORT_MAPPINGS = "portMappings"
FIRST_PORT = 1


@dataclass(frozen=True, kw_only=True)
class PlacedEndpoint(Endpoint):
    """An endpoint that knows the network namespace it lives in."""

    namespace: str


class Pod(Model):
    """A pod's namespace and attachments, kept on disk from before it is made until it is gone."""

    name: str
    namespace: str
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Endpoints:
    """Makes and takes away endpoints."""

    layout: Layout
    installer: Installer
    runtime: Runtime

    @contextmanager
    def make(self, request: EndpointRequest) -> Iterator[PlacedEndpoint]:
        """Make an endpoint for the time of the block; a pod's tools are killed at its end.

        Raises:
            RefusedError: no plugin is installed, or the plugin cannot make this pod.
            InputError: ports are to be published and the plugin declares no way to do it.
        """
        if request.kind == "external":
            yield self._existing(request, self.layout.external)
            return
        node = self.layout.nodes[request.node_index]
        if request.kind == "host":
            yield self._existing(request, node)
            return
        installed = self.installer.current()
        if installed is None:
            raise RefusedError("no plugin is installed, so there can be no pod")
        if not isinstance(installed.plugin.install, CniChain):
            yield self._existing(request, node)  # Pods share their node's namespace.
            return
        pod = self._planned(request, node, installed)
        try:
            yield self._attached(pod, request, node)
        except BaseException:
            try:
                self._take_away(pod)
            except CnibenchError as error:  # The first error is the one that matters.
                logger.warning("pod=%s could not be taken away: %s", pod.name, error)
            raise
        self._take_away(pod)

    def settle(self) -> None:
        """Make one pod on each node and take it away again.

        A plugin makes what its pods share (a bridge, chains of the packet filter) with the first
        pod that needs it, and leaves it. Cells run in random order: they must all find it there.
        """
        installed = self.installer.current()
        if installed is None or not isinstance(installed.plugin.install, CniChain):
            return
        chain = installed.plugin.install.plugins
        ports = (FIRST_PORT,) if any(_publishes(p.get("capabilities")) for p in chain) else ()
        for index in range(len(self.layout.nodes)):
            with self.make(EndpointRequest("first", "pod", index, ports)):
                pass

    def take_away_all(self) -> None:
        """Detach every pod that a killed process may have left."""
        for file in sorted(self.layout.attachments.glob("*.json")):
            self._take_away(Pod.model_validate_json(file.read_text()))

    def _existing(self, request: EndpointRequest, node: Node) -> PlacedEndpoint:
        namespace = self.layout.namespace(node.name)
        with netlink(namespace) as own:
            mtu = own.link(node.uplink).mtu
        node = node.known_by(request.family)
        return PlacedEndpoint(
            name=request.name,
            kind=request.kind,
            node=node,
            address=node.address,
            device=node.uplink,
            mtu_bytes=mtu,
            namespace=namespace,
        )

    def _planned(self, request: EndpointRequest, node: Node, installed: Installed) -> Pod:
        """Write down what is about to be made: it must be undone after a kill at any point."""
        namespace = self.layout.pod_namespace(request.name)
        network: dict[str, JsonValue] = json.loads(self.layout.conflist(node).read_text())
        common: dict[str, Any] = {
            "container_id": f"{request.name}-{uuid.uuid4().hex[:12]}",
            "node_namespace": self.layout.namespace(node.name),
            "namespace": namespace,
        }
        runtime_config = _port_mappings(network, request.published_ports, installed.plugin.name)
        pod = Pod(
            name=request.name,
            namespace=namespace,
            attachments=(
                Attachment(**common, device="lo", conflist=LOOPBACK),
                Attachment(
                    **common, device=POD_DEVICE, conflist=network, runtime_config=runtime_config
                ),
            ),
        )
        self._note(pod)
        return pod

    def _attached(self, pod: Pod, request: EndpointRequest, node: Node) -> PlacedEndpoint:
        netns.create(pod.namespace)
        installed = self.installer.current()
        is_dual = installed is not None and "ipv6" in installed.plugin.families
        set_now(pod.namespace, AT_ONCE_IPV6 if is_dual else QUIET_IPV6)
        settings.inherit(self.layout.namespace(node.name), pod.namespace)
        loopback, network = pod.attachments
        loopback = self.runtime.add(loopback)
        started_s = time.perf_counter()
        network = self.runtime.add(network)
        start_ms = (time.perf_counter() - started_s) * 1e3
        self._note(pod.model_copy(update={"attachments": (loopback, network)}))
        for attachment in (loopback, network):
            self.runtime.check(attachment)
        return replace(self._seen(pod, request, node, network), start_ms=start_ms)

    def _seen(
        self, pod: Pod, request: EndpointRequest, node: Node, network: Attachment
    ) -> PlacedEndpoint:
        """Describe the pod by what the kernel shows; only its address is told by the plugin."""
        with netlink(pod.namespace) as own:
            link = own.link(POD_DEVICE)
        pair = None
        if link.peer is not None:
            with netlink(self.layout.namespace(node.name)) as host:
                pair = next((x.name for x in host.links() if x.index == link.peer), None)
        return PlacedEndpoint(
            name=request.name,
            kind=request.kind,
            node=node.known_by(request.family),
            address=network.address(request.family),
            device=POD_DEVICE,
            mtu_bytes=link.mtu,
            pair=pair,
            namespace=pod.namespace,
        )

    def _take_away(self, pod: Pod) -> None:
        """Kill what runs in the pod, detach it, drop it. What DEL refused is tried again later."""
        file = self._file(pod.name)
        if file.exists():
            pod = Pod.model_validate_json(file.read_text())  # With the results of ADD.
        kill_all(lambda: netns.processes([pod.namespace]))
        try:
            for attachment in reversed(pod.attachments):
                self.runtime.delete(attachment)
        finally:
            netns.delete(pod.namespace)
        file.unlink(missing_ok=True)

    def _note(self, pod: Pod) -> None:
        write_durably(self._file(pod.name), pod.model_dump_json())

    def _file(self, name: str) -> Path:
        return self.layout.attachments / f"{name}.json"


def _port_mappings(
    network: dict[str, JsonValue], ports: tuple[int, ...], plugin: str
) -> dict[str, JsonValue]:
    """Runtime configuration that publishes ports under their own numbers, for TCP and UDP."""
    if not ports:
        return {}
    plugins: Any = network["plugins"]
    if not any(_publishes(p.get("capabilities")) for p in plugins):
        raise InputError(
            f"plugin {plugin}: no entry of install.plugins has `capabilities: {{{PORT_MAPPINGS}: "
            "true}`, so no port of a pod can be published"
        )
    return {
        PORT_MAPPINGS: [
            {"hostPort": port, "containerPort": port, "protocol": protocol}
            for port in ports
            for protocol in ("tcp", "udp")
        ]
    }


def _publishes(capabilities: JsonValue) -> bool:
    """Whether a plugin's entry says that it opens ports of the node."""
    return isinstance(capabilities, dict) and bool(capabilities.get(PORT_MAPPINGS))
