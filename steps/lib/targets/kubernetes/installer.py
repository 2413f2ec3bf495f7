"""Installing, reading back and removing a plugin, as its data describes it."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, Applied, Cleanup, CniChain, HostNetwork, Plugin
from steps.lib.rendering import fill
from steps.lib.rendering import objects as rendered
from steps.lib.targets.kubernetes import evacuation, node_commands
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.applying import (
    INSTALL_LABEL,
    apply_all,
    delete_all,
    refuse_foreign,
)
from steps.lib.targets.kubernetes.installed import Installed
from steps.lib.targets.kubernetes.memory import Memory
from steps.lib.targets.kubernetes.node_marks import Marks, present_marks, remove_marks
from steps.lib.targets.kubernetes.objects import Reference, reference
from steps.lib.targets.kubernetes.readiness import Readiness
from steps.lib.targets.kubernetes.reference_chain import ReferenceChain
from steps.lib.targets.protocol import Installation, Node

logger = logging.getLogger(__name__)

RECORD = "cnibench-installation"
CNI_CONFIGURATIONS = "/etc/cni/net.d"

CNI_CALLS_TIMEOUT_S = 120.0
"""A kubelet waits as long for its runtime (``runtimeRequestTimeout``)."""

VERSION_TIMEOUT_S = 180.0
"""A program of 100 MB that only prints its version takes over 20 s on an emulated node."""

NODE_ACTIONS = (
    "links", "nft_tables", "paths", "iptables", "ipsets", "routes", "rules", "bpf_pins", "tc",
    "modules",
)  # fmt: skip
"""Fields of ``Cleanup`` that a node's agent carries out."""


@dataclass(frozen=True)
class Installer:
    """Puts one plugin at a time on a cluster."""

    api: Api
    agents: Agents
    memory: Memory
    nodes: Sequence[Node]
    values: Mapping[str, str]
    """Placeholders of manifests."""
    pod_cidrs: Mapping[str, Mapping[AddressFamily, str]]
    underlay_mtu_bytes: Callable[[], int]
    """MTU between the nodes: a profile may have changed it for the block that holds them."""

    def current(self) -> Installed | None:
        """What is installed, or was being installed when a process died."""
        text = self.memory.load(RECORD)
        return None if text is None else Installed.model_validate_json(text)

    def namespaces(self) -> set[str]:
        """Of the plugin that is installed."""
        present = self.current()
        return present.namespaces if present else set()

    def workloads(self) -> set[str]:
        """Of the plugin that is installed."""
        present = self.current()
        return present.workloads if present else set()

    def install(self, plugin: Plugin, install_id: str) -> None:
        """Put the plugin on every node and wait until it says that it is ready.

        May be called again with the same identifier, when the first call broke off.

        Raises:
            InputError: the plugin's data cannot be used.
            RefusedError: another plugin is installed, this one does not become ready, or its
                removal would take away what is somebody else's.
        """
        record = self.current()
        if record is None:
            record = self._before(plugin, install_id)
        elif record.install_id != install_id:
            raise RefusedError(f"{record.plugin.name} is installed; remove it before {plugin.name}")
        self._save(record)
        evacuation.open_again(self.api, self._names)
        match plugin.install:
            case Applied():
                record = self._apply(record, plugin.install)
            case CniChain() as chain:
                self._chain(plugin).lay_out(plugin, chain)
            case _:
                pass  # No pod network: nothing to lay out.
        if not isinstance(plugin.install, HostNetwork):
            self._wait(plugin)
        self._save(record.model_copy(update={"version": self._version(plugin)}))

    def _before(self, plugin: Plugin, install_id: str) -> Installed:
        """What there is before the plugin, so that its removal takes away no more than it brought.

        Raises:
            RefusedError: something is there already that the removal would take away.
        """
        theirs = []
        for node in self.nodes:
            would = self.agents.call(node.name, "would_clean", actions=self._actions(node, plugin))
            theirs += [f"{node.name}: {what}" for what in would]
        if theirs:
            raise RefusedError(
                f"{plugin.name} was not installed, since its removal would take away what is there "
                "without it:\n  " + "\n  ".join(theirs)
            )
        names, removes = self._names, plugin.removes
        return Installed(
            install_id=install_id,
            plugin=plugin,
            version=plugin.source.version,
            settings={node.name: self._settings(node, plugin) for node in self.nodes},
            marks={name: present_marks(self.api, name, removes) for name in names},
        )

    def installation(self) -> Installation | None:
        """Version and fingerprint of what is there: images that run, configuration of each node."""
        present = self.current()
        if present is None:
            return None
        evidence = [present.plugin.model_dump_json(), present.version]
        evidence += self._images(present.plugin)
        asked = {name: {"directory": CNI_CONFIGURATIONS} for name in self._names}
        hashes = self.agents.call_each("hashes", asked)
        evidence += [json.dumps(hashes[name], sort_keys=True) for name in self._names]
        digest = hashlib.sha256(json.dumps(evidence).encode()).hexdigest()
        return Installation(present.version, digest)

    def remove(self) -> None:
        """End all pods of the pod network, then take the plugin away. Idempotent.

        What cannot be cleaned on a node is logged, and shows as residue.

        Raises:
            RefusedError: pods do not end, or the plugin's objects do not go; it is still installed.
        """
        present = self.current()
        if present is None:
            return
        removes = present.plugin.removes
        evacuation.close(self.api, self._names)
        try:
            delete_all(self.api, self._tireless())
            evacuation.empty(self.api, self._names)
            delete_all(self.api, present.objects, removes.first, removes.strip_finalizers)
            self._clean_up(present)
        finally:
            evacuation.open_again(self.api, self._names)
        self.memory.delete(RECORD)

    def _clean_up(self, present: Installed) -> None:
        """Bring nodes back to what they were; a step that fails does not keep others from it."""
        plugin = present.plugin
        for node in self.nodes:
            for command in present.commands:
                with _logged(node):
                    node_commands.run_on(self.api, node.name, command)
            self._clean(node, plugin)
        self._await_cni_calls()
        for node in self.nodes:
            # The runtime may have called once more, which makes anew what was just removed.
            self._clean(node, plugin)
            with _logged(node):
                self._set_back(node, present)
            before = present.marks.get(node.name, Marks())
            remove_marks(self.api, node.name, plugin.removes, before)

    @property
    def _names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def _save(self, record: Installed) -> None:
        self.memory.save(RECORD, record.model_dump_json())

    def _apply(self, record: Installed, install: Applied) -> Installed:
        plugin = record.plugin
        values = self._values(plugin)
        objects = rendered(plugin, values)
        refuse_foreign(self.api, objects)
        record = record.model_copy(
            update={
                "objects": tuple(reference(body) for body in objects),
                "commands": tuple(node_commands.prepared(plugin.removes.commands, objects)),
            }
        )
        self._save(record)
        for node in self.nodes:
            for path, text in install.files.items():
                self.agents.call(node.name, "write_file", path=path, text=fill(text, values))
        apply_all(self.api, objects, record.install_id)
        return record

    def _clean(self, node: Node, plugin: Plugin) -> None:
        """Carry out the declared actions; what could not be done shows as residue."""
        told = self.agents.call(node.name, "clean", actions=self._actions(node, plugin))
        for problem in told["problems"]:
            logger.warning("node=%s clean-up: %s", node.name, problem)

    def _actions(self, node: Node, plugin: Plugin) -> dict[str, Any]:
        actions = fill(_actions(plugin), self._values(plugin))
        if isinstance(plugin.install, CniChain):
            for kind, what in self._chain(plugin).leaves(node, plugin.install).items():
                actions[kind] += what
        return dict(actions)

    def _values(self, plugin: Plugin) -> dict[str, str]:
        mtus = {"underlay_mtu": self.underlay_mtu_bytes(), "pod_mtu": self._pod_mtu(plugin)}
        return {**self.values, **{name: str(mtu) for name, mtu in mtus.items()}}

    def _tireless(self) -> list[Reference]:
        """DaemonSets of ours that would fill the nodes again while they are emptied."""
        found = (each.metadata for each in evacuation.tireless(self.api))
        return [
            Reference(api_version="apps/v1", kind="DaemonSet", name=m.name, namespace=m.namespace)
            for m in found
            if INSTALL_LABEL in (m.labels or {})
        ]

    def _await_cni_calls(self) -> None:
        """Wait for calls of a network plugin that nodes' runtimes have not ended yet."""
        asked = {name: {"timeout_s": CNI_CALLS_TIMEOUT_S} for name in self._names}
        try:
            self.agents.call_each("await_cni_calls", asked)
        except RefusedError as error:
            logger.warning("clean-up: %s", error)

    def _settings(self, node: Node, plugin: Plugin) -> dict[str, str]:
        names = plugin.removes.settings
        found = {n: self.agents.call(node.name, "read_setting", name=n) for n in names}
        return {name: value for name, value in found.items() if value is not None}

    def _set_back(self, node: Node, present: Installed) -> None:
        for name, value in present.settings.get(node.name, {}).items():
            if self.agents.call(node.name, "read_setting", name=name) != value:
                self.agents.call(node.name, "write_setting", name=name, value=value)

    def _wait(self, plugin: Plugin) -> None:
        Readiness(self.api, self._names, self._file_exists).wait(plugin.ready)

    def _file_exists(self, node: str, path: str) -> bool:
        return bool(self.agents.call(node, "exists", path=path))

    def _chain(self, plugin: Plugin) -> ReferenceChain:
        mtu = self._pod_mtu(plugin)
        return ReferenceChain(self.agents, self.nodes, self.pod_cidrs, plugin.families, mtu)

    def _pod_mtu(self, plugin: Plugin) -> int:
        return self.underlay_mtu_bytes() - plugin.mtu_overhead_bytes

    def _version(self, plugin: Plugin) -> str:
        """What the running plugin says that it is; without a command for it, what the data says.

        Raises:
            RefusedError: it does not say.
        """
        asked = plugin.version
        if asked is None:
            return plugin.source.version
        running = [p for p in self._pods(asked.workload) if self._is_at_hand(p)]
        if not running:
            raise RefusedError(f"version: no pod of {asked.workload} runs")
        pod = running[0]
        statuses = {s.name: s for s in pod.status.container_statuses or []}
        if asked.container not in statuses:
            raise RefusedError(f"version: {asked.workload} has no container {asked.container!r}")
        container = statuses[asked.container].container_id.partition("://")[2]
        result = self.agents.call(
            pod.spec.node_name,
            "run_in_container",
            container=container,
            command=asked.command,
            timeout_s=VERSION_TIMEOUT_S,
        )
        found = re.search(asked.pattern, result["stdout"] + result["stderr"])
        if not found:
            raise RefusedError(
                f"version: {' '.join(asked.command)} in {asked.workload} printed "
                f"{(result['stdout'] + result['stderr']).strip()[:200]!r}, in which "
                f"{asked.pattern!r} is not found"
            )
        return found[1]

    def _is_at_hand(self, pod: Any) -> bool:
        ending = pod.metadata.deletion_timestamp is not None
        return pod.status.phase == "Running" and not ending and pod.spec.node_name in self._names

    def _images(self, plugin: Plugin) -> list[str]:
        """Images that the plugin's pods really run, by digest."""
        workloads = (*plugin.ready.daemonsets, *plugin.ready.deployments)
        return sorted(
            {
                f"{workload} {status.name} {status.image_id}"
                for workload in workloads
                for pod in self._pods(workload)
                for status in pod.status.container_statuses or []
            }
        )

    def _pods(self, workload: str) -> list[Any]:
        namespace, _, name = workload.partition("/")
        pods = self.api.call(self.api.core.list_namespaced_pod, namespace).items
        return [p for p in pods if _belongs(p, name)]


@contextmanager
def _logged(node: Node) -> Iterator[None]:
    """Go on after what the node refuses: what is left of it shows as residue."""
    try:
        yield
    except RefusedError as error:
        logger.warning("node=%s clean-up: %s", node.name, error)


def _belongs(pod: Any, workload: str) -> bool:
    """Whether a pod is of a DaemonSet, or of a Deployment by way of its ReplicaSet."""
    owners = [o.name for o in pod.metadata.owner_references or []]
    return any(o == workload or o.rpartition("-")[0] == workload for o in owners)


def _actions(plugin: Plugin) -> dict[str, Any]:
    removes: Cleanup = plugin.removes
    actions = {name: list(getattr(removes, name)) for name in NODE_ACTIONS}
    if isinstance(plugin.install, Applied):
        actions["paths"] += list(plugin.install.files)
    return actions
