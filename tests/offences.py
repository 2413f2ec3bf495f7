"""One block on the embedded target, and ways to meddle with it while a cell is measured."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steps.lib import tools
from steps.lib.catalog import Job
from steps.lib.context import Context
from steps.lib.evidence import offloads
from steps.lib.measure import measure
from steps.lib.measured import Measured
from steps.lib.models import Matrix, PathName, Plugin, Profile, TargetSpec
from steps.lib.state import BlockState
from steps.lib.targets.namespaces.processes import Running
from steps.lib.targets.namespaces.surroundings import Surroundings
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.observations import Counters, CpuTimes
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node
from tests.jobs import job, matrix, plugin, profile

NAME = "offend"


class Meddled(NamespacesTarget):
    """The real target; somebody else does something at the moments that matter.

    Attributes:
        place: Changes what endpoint is made.
        before: Is called just before the client's tool starts.
        enforced: Who enforces policies, if anybody does.
        late_s: How late whoever reads is at the end of the window.
    """

    enforced: Surroundings | None = None
    place: Callable[[EndpointRequest], EndpointRequest] = staticmethod(lambda request: request)
    before: Callable[[], object] = staticmethod(lambda: None)

    late_s = 0.0
    _readings = 0

    def reading(
        self, places: Mapping[str, Endpoint | Node]
    ) -> tuple[CpuTimes, Mapping[str, Counters]]:
        """As ever: before the run, at both ends of the window, after the run."""
        self._readings += 1
        if self._readings % 4 == 3:
            time.sleep(self.late_s)
        return super().reading(places)

    @property
    def surroundings(self) -> Surroundings:
        """Of whoever enforces them."""
        return self.enforced or super().surroundings

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
        return self._measure(matrix(traffic, paths=[path]))

    def reference(self, traffic: dict[str, Any]) -> dict[str, Any]:
        """Measure the block's reference; its row."""
        return self._measure(matrix(reference=traffic)).row

    def _measure(self, of: Matrix) -> Measured:
        block = f"{self.plugin.name}.{self.profile.name}.r1"
        context = Context(NAME, block, self.target, "", self.documents)
        context.__dict__["job"] = self._job(of)
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
        target._readings = 0
        yield Bench(target, installed, tuned, underlay_mtu, state)
    finally:
        target.discard()
