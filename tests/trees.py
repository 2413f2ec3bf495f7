"""Nodes whose ``/sys`` is a folder, for what this machine has no hardware for and for the engine.

Settings are found, read and written by the same code as on a node, in real files.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from steps.lib.setting import Look, Setting, Wanted
from steps.lib.state import BlockState
from steps.lib.targets.namespaces.tuning import kinds
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.protocol import Node, NodeFacts, Target

FILE = "kernel/mm/ksm/{}"
"""Name of a file that a profile may set; it means nothing here."""


class TreeAccess(Access):
    """A look at a node whose ``/sys`` is a folder."""

    def __init__(self, root: Path, uplink: str = "eth0") -> None:
        super().__init__("/proc/thread-self/ns/net", uplink)
        self.root = root

    @contextmanager
    def sys(self) -> Iterator[Path]:
        """The folder."""
        yield self.root


class Trees:
    """What the engine of tuning asks of a target, for nodes that are folders below one folder."""

    environment_class = "emulated"

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names
        self.saved: BlockState | None = None

    @property
    def target(self) -> Target:
        """As the type that the engine takes."""
        return cast(Target, self)

    def file(self, node: str, name: str) -> Path:
        """A file of a node, by its name below ``/sys``."""
        return self.folder / node / name

    def make(self, name: str, text: str) -> None:
        """Give every node a file."""
        for node in self.names:
            self.file(node, name).parent.mkdir(parents=True, exist_ok=True)
            self.file(node, name).write_text(text)

    def texts(self, name: str) -> list[str]:
        """What the nodes' files of this name say."""
        return [self.file(node, name).read_text() for node in self.names]

    def access(self, node: Node) -> Access:
        """A new look at a node."""
        return TreeAccess(self.folder / node.name)

    def prepare(self) -> None:
        """Needs every node, as that of every target does."""
        for node in self.nodes():
            self.facts(node)

    def nodes(self) -> Sequence[Node]:
        return [Node(name, "192.0.2.1", "eth0") for name in self.names]

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes() if node.name == name), None)

    def facts(self, node: Node) -> NodeFacts:
        return NodeFacts("6.1", "cpu", 1, 1, None, f"boot of {node.name}", 1500, "sha256")

    def look_up(self, node: Node, wanted: Sequence[Wanted]) -> Sequence[Look]:
        return kinds.look_up(self.access(node), wanted)

    def lacking(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, str]:
        looks = zip(wanted, self.look_up(self.nodes()[0], wanted), strict=True)
        return {one: look.lacking for one, look in looks if look.lacking}

    def read_settings(
        self, node: Node, settings: Sequence[Setting]
    ) -> Mapping[Setting, str | None]:
        values = kinds.read(self.access(node), settings)
        return dict(zip(settings, values, strict=True))

    def write_setting(self, node: Node, setting: Setting, value: str) -> None:
        kinds.write(self.access(node), setting, value)

    def load_state(self) -> BlockState | None:
        return self.saved

    def save_state(self, state: BlockState | None) -> None:
        self.saved = state
