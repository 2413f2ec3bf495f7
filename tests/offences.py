"""One block on the embedded target, and ways to meddle with it while a cell is measured."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steps.lib import tools
from steps.lib.catalog import Job
from steps.lib.context import Context
from steps.lib.evidence import offloads
from steps.lib.measure import Measured, measure
from steps.lib.models import Matrix, PathName, Plugin, Profile, TargetSpec
from steps.lib.state import BlockState
from steps.lib.targets.namespaces import NamespacesTarget
from steps.lib.targets.namespaces.processes import Running
from steps.lib.targets.protocol import Endpoint, EndpointRequest
from tests.jobs import job, matrix, plugin, profile

NAME = "offend"


class Meddled(NamespacesTarget):
    """The real target; somebody else does something at the moments that matter.

    Attributes:
        place: Changes what endpoint is made.
        before: Is called just before the client's tool starts.
    """

    place: Callable[[EndpointRequest], EndpointRequest] = staticmethod(lambda request: request)
    before: Callable[[], object] = staticmethod(lambda: None)

    def endpoint(self, request: EndpointRequest) -> AbstractContextManager[Endpoint]:
        """As ever."""
        return super().endpoint(self.place(request))

    def start(self, endpoint: Endpoint, command: Sequence[str], group: str) -> Running:
        """As ever."""
        if group == "client":
            self.before()
        return super().start(endpoint, command, group)

    def tools(self) -> set[int]:
        """Processes of the tools that run."""
        return self._groups.processes()

    def on_node(self, index: int, *command: str) -> str:
        """Run a tool in a node's network, as its administrator; its output."""
        with self.endpoint(EndpointRequest("host", "host", index)) as host:
            process = self.start(host, command, "other")
            output = process.stdout.read().decode()
            assert process.stop(5) == (0, b""), (command, process.stop(0))
        return output


@dataclass
class Bench:
    """A block under way: plugin installed, nothing tuned."""

    target: Meddled
    plugin: Plugin
    profile: Profile
    underlay_mtu: int
    state: BlockState
    documents: dict[str, str] = field(default_factory=dict)

    def measure(self, traffic: dict[str, Any], path: PathName = "cross-node") -> Measured:
        """Measure one cell."""
        block = f"{self.plugin.name}.{self.profile.name}.r1"
        context = Context(NAME, block, self.target, "", self.documents)
        context.__dict__["job"] = self._job(matrix(traffic, paths=[path]))
        return measure(context, context.block.cells[0], self.state)

    def row(self, traffic: dict[str, Any], path: PathName = "cross-node") -> dict[str, Any]:
        """Measure one cell; its row."""
        return self.measure(traffic, path).row

    def refusal(self, traffic: dict[str, Any], path: PathName = "cross-node") -> tuple[str, str]:
        """Measure one cell: its status, and the gate that is named."""
        row = self.row(traffic, path)
        return row["status"], str(row["reason"]).partition(":")[0]

    def _job(self, of: Matrix) -> Job:
        made = job(("bridge-vxlan",), of=of, target=NAME)
        spec = TargetSpec(kind="namespaces", name=NAME, underlay_mtu=self.underlay_mtu)
        campaign = made.campaign.model_copy(update={"target": spec})
        return made.model_copy(
            update={"campaign": campaign, "plugins": (self.plugin,), "profiles": (self.profile,)}
        )


@contextmanager
def bench(
    of: Plugin | None = None, tuned: Profile | None = None, underlay_mtu: int = 1500
) -> Iterator[Bench]:
    """A block of a plugin, and nothing of it afterwards."""
    installed, tuned = of or plugin("bridge-vxlan"), tuned or profile("base")
    spec = TargetSpec(kind="namespaces", name=NAME, underlay_mtu=underlay_mtu)
    target = Meddled(spec, tools.toolbox())
    target.prepare()
    try:
        target.install(installed, "one")
        found = target.installation()
        assert found is not None
        state = BlockState(
            campaign=NAME,
            block="",
            plugin=installed.name,
            profile=tuned.name,
            repeat=1,
            store="",
            install_id="one",
            boot_id="one",
            started_at=datetime.now(UTC),
            plugin_fingerprint=found.fingerprint,
            environment_fingerprint="one",
            inventory_before={},
            offloads=offloads(target, installed),
        )
        yield Bench(target, installed, tuned, underlay_mtu, state)
    finally:
        target.discard()
