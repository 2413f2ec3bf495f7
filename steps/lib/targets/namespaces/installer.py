"""Installing, reading back and removing a plugin, as its data describes it."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from steps.lib.errors import InputError, RefusedError
from steps.lib.models import CniChain, Model, Plugin
from steps.lib.targets.namespaces import conflist, dual_stack, internode
from steps.lib.targets.namespaces.cni import NO_VERSION, Runtime
from steps.lib.targets.namespaces.files import delete_durably, write_durably
from steps.lib.targets.namespaces.layout import Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.protocol import Installation, Node


class Installed(Model):
    """What was installed; written before the first change, so that a crash can be undone."""

    install_id: str
    plugin: Plugin


@dataclass(frozen=True)
class Installer:
    """Puts one plugin at a time on a target."""

    layout: Layout
    runtime: Runtime

    def current(self) -> Installed | None:
        """What is installed, or was being installed when a process died."""
        try:
            text = self.layout.installed_file.read_text()
        except FileNotFoundError:
            return None
        return Installed.model_validate_json(text)

    def install(self, plugin: Plugin, install_id: str, underlay_mtu: int) -> None:
        """Write the configuration of every node and set up the way between them.

        Args:
            plugin: What to install.
            install_id: Identity of this installation.
            underlay_mtu: MTU between the nodes, in bytes; pods get what the plugin leaves of it.

        Raises:
            InputError: the plugin's data cannot be used.
            RefusedError: another plugin is installed, or the binaries are not what the data says.
        """
        present = self.current()
        if present is not None:
            raise RefusedError(
                f"{present.plugin.name} is installed; remove it before {plugin.name}"
            )
        layout = replace(self.layout, underlay_mtu=underlay_mtu)
        rendered = {node: _render(layout, plugin, node) for node in layout.nodes}
        if isinstance(plugin.install, CniChain):
            self._refuse_other_binaries(plugin, plugin.install)
        record = Installed(install_id=install_id, plugin=plugin)
        write_durably(self.layout.installed_file, record.model_dump_json())
        if "ipv6" in plugin.families:
            dual_stack.set_up(layout)
        if isinstance(plugin.install, CniChain):
            for node, text in rendered.items():
                self.layout.plugin_files(node).mkdir(parents=True, exist_ok=True)
                write_durably(self.layout.conflist(node), text)
            internode.set_up(layout, plugin, plugin.install.inter_node)
            if "ipv6" in plugin.families:
                dual_stack.add_routes(layout)

    def installation(self) -> Installation | None:
        """Version and fingerprint of what is there now: files, binaries, devices and routes."""
        present = self.current()
        if present is None:
            return None
        plugin, evidence = present.plugin, [str(present.plugin.install.mechanism)]
        version = plugin.source.version
        if isinstance(plugin.install, CniChain):
            version = self._version(plugin, plugin.install)
            for node in self.layout.nodes:
                evidence.append(self._configuration(node))
            evidence += [f"{k} {_digest(self.runtime.binary(k))}" for k in _types(plugin.install)]
            evidence += internode.read_back(self.layout, plugin.install.inter_node)
        text = json.dumps(evidence)
        return Installation(version, hashlib.sha256(text.encode()).hexdigest())

    def remove(self) -> None:
        """Undo ``install`` and take away what the plugin declares to leave; pods must be gone."""
        present = self.current()
        if present is None:
            return
        plugin = present.plugin
        if isinstance(plugin.install, CniChain):
            internode.take_down(self.layout, plugin.install.inter_node)
        for node in self.layout.nodes:
            self._clean(plugin, node)
            shutil.rmtree(self.layout.conflist(node).parent, ignore_errors=True)
        if "ipv6" in plugin.families:
            dual_stack.take_down(self.layout)
        delete_durably(self.layout.installed_file)

    def _refuse_other_binaries(self, plugin: Plugin, chain: CniChain) -> None:
        for kind in _types(chain):
            speaks = self.runtime.supported_versions(kind)
            if chain.cni_version not in speaks:
                raise InputError(
                    f"plugin {plugin.name}: install.cni_version: {kind} does not speak "
                    f"{chain.cni_version}, only {', '.join(speaks)}"
                )
        found = self._version(plugin, chain)
        if found != plugin.source.version:
            raise RefusedError(
                f"plugin {plugin.name}: source.version is {plugin.source.version}, but the "
                f"binaries in {self.runtime.binaries} are {found}; run `make setup`"
            )

    def _version(self, plugin: Plugin, chain: CniChain) -> str:
        """Version of the binaries; the data's, where they do not tell. Several are listed."""
        found = {_build_version(self.runtime, kind) for kind in _types(chain)} - {NO_VERSION}
        return ", ".join(sorted(found)) or plugin.source.version

    def _configuration(self, node: Node) -> str:
        """A node's configuration, with nothing in it that depends on the target's name."""
        file = self.layout.conflist(node)
        if not file.exists():
            return "no configuration"
        return file.read_text().replace(str(self.layout.work), "")

    def _clean(self, plugin: Plugin, node: Node) -> None:
        namespace = self.layout.namespace(node.name)
        with netlink(namespace) as own:
            for name in plugin.removes.links:
                own.delete_link(name)
        for table in plugin.removes.nft_tables:
            # `destroy` would be one command, but Debian 12's nft does not know it.
            output(["nft", f"add table {table}; delete table {table}"], namespace=namespace)
        directory = self.layout.plugin_files(node)
        for pattern in plugin.removes.files:
            for file in directory.glob(pattern):
                file.unlink()
        _drop_empty(directory)


def _render(layout: Layout, plugin: Plugin, node: Node) -> str:
    if not isinstance(plugin.install, CniChain):
        return ""
    values = layout.placeholders(node, plugin)
    return json.dumps(conflist.render(plugin.name, plugin.install, values), indent=2)


def _types(chain: CniChain) -> tuple[str, ...]:
    """Programs of a chain: its plugins and the address managers they call."""
    types = []
    for plugin in chain.plugins:
        types.append(str(plugin["type"]))
        manager = plugin.get("ipam")
        if isinstance(manager, dict) and "type" in manager:
            types.append(str(manager["type"]))
    return tuple(types)


def _drop_empty(directory: Path) -> None:
    """Remove a directory tree as far as it holds no files: a file that stays is residue."""
    for place, _, _ in os.walk(directory, topdown=False):
        if not any(Path(place).iterdir()):
            Path(place).rmdir()


def _digest(file: Path) -> str:
    status = file.stat()
    return _digest_of(file, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache
def _digest_of(file: Path, *version: int) -> str:
    """Read a binary once: the fingerprint is taken twice for each cell."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@lru_cache
def _build_version(runtime: Runtime, kind: str) -> str:
    return runtime.build_version(kind)
