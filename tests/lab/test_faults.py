"""Whatever goes wrong on a cluster ends in a clear state and in rows, and what follows is sound."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.layout import Lab
from steps.lib import sources
from steps.lib.errors import TransientError
from steps.lib.executor import Event, Start
from steps.lib.models import Plugin
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.namespaces import netns
from tests.jobs import TCP, matrix, plugin
from tests.lab import labs
from tests.lab.campaigns import FAST, NORMAL, STAND_IN, TOOLBOX, Run, lab_job, stand_in

pytestmark = pytest.mark.lab

PORT = 30521
"""Of the server of any TCP cell."""

INTO_THE_CELL_S = 4.0
"""From the start of the stage: the pods need about two seconds."""

TIMING = ("duration: ", "cpu-window: ", "intervals-enough: ")
"""Reasons that a busy machine gives to cells of some seconds."""

EVICTED, RESTARTED = "cross-node.a", "cross-node.b"
OCCUPIED, QUIET = "host-to-host.a", "host-to-host.b"


@pytest.fixture(autouse=True)
def nothing_left(api: Api) -> Iterator[None]:
    """After each fault our namespace, what was installed and our marks on nodes are gone."""
    yield
    for namespace in (NAMESPACE, STAND_IN):
        assert api.get(api.core.read_namespace, namespace) is None
    for node in api.call(api.core.list_node).items:
        assert [t.key for t in node.spec.taints or [] if "cnibench" in t.key] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where stores are, and a mirror of its own."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNIBENCH_MIRROR", str(folder / "mirror"))
        yield folder


def long(name: str) -> dict[str, Any]:
    """Traffic that is long enough for something to happen in the middle."""
    return TCP | {"id": name, "duration_s": 6}


def is_sound(cell: tuple[str, str]) -> bool:
    """Whether it was measured, or would have been but for the other work of the machine."""
    status, reason = cell
    return status == "ok" or (status == "invalid" and reason.startswith(TIMING))


# ---------- installing
@pytest.fixture(scope="module")
def installs(lab: Lab, api: Api, folder: Path) -> Run:
    """A campaign whose plugins cannot be installed, but for the last."""
    run = Run(folder / "installs")
    sick = [no_image(), never_ready(), crashing(), changed()]
    small = lab_job(lab, *sick, plugin(NORMAL))
    assert run.of(small) == [f"{each.name}.base.r1" for each in sick], run.blocks()
    return run


def no_image() -> Plugin:
    return stand_in("no-image", {"image": "registry.invalid/no/such:1"})


def never_ready() -> Plugin:
    says = ["sh", "-c", "echo no peer answers; exec sleep infinity"]
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    return stand_in("never-ready", {"image": TOOLBOX, "command": says, "readinessProbe": probe})


def crashing() -> Plugin:
    ends = ["sh", "-c", "echo cannot open the device >&2; exit 3"]
    return stand_in("crashing", {"image": TOOLBOX, "command": ends})


def changed() -> Plugin:
    """One whose manifest is not any more what was locked."""
    made = stand_in("changed", {"image": TOOLBOX})
    (sources.mirror() / str(made.source.digest).removeprefix("sha256:")).write_text("other")
    return made


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-image", ["DaemonSet stand-in/no-image: 0 of 2 pods ready", "ErrImagePull"]),
        ("no-image", ["registry.invalid/no/such:1"]),
        ("never-ready", ["not ready in 6 s: ", "daemon: log: no peer answers"]),
        ("never-ready", ["event: Unhealthy: Readiness probe failed"]),
        ("crashing", ["daemon: log: cannot open the device"]),
        ("changed", ["https://stand-in.invalid/changed.yaml# was changed: ", ", found is sha256:"]),
    ],
)
def test_a_block_whose_plugin_cannot_be_installed_says_why(
    installs: Run, name: str, said: list[str]
) -> None:
    status, reason = installs.blocks()[name]
    assert status == "failed"
    assert reason.startswith("install_plugin: ")
    assert [text for text in said if text not in reason] == [], reason


def test_the_block_after_those_is_sound(installs: Run) -> None:
    assert installs.blocks()[NORMAL] == ("ok", "")
    assert [is_sound(cell) for cell in installs.cells().values()] == [True]


# ---------- measuring
@pytest.fixture(scope="module")
def cells(lab: Lab, api: Api, folder: Path) -> Run:
    """A block in whose cells something happens, but for the last."""
    run = Run(folder / "cells")
    of = matrix(long("a"), long("b"), paths=["cross-node", "host-to-host"])
    with Happenings(lab, api) as happenings:
        assert run.of(lab_job(lab, plugin(NORMAL), of=of), happenings.report) == [], run.blocks()
    return run


class Happenings(ExitStack):
    """What happens, once, when a cell is measured."""

    def __init__(self, lab: Lab, api: Api) -> None:
        super().__init__()
        self._lab, self._api = lab, api
        self._to_come: dict[str, Callable[[], object]] = {
            EVICTED: lambda: self._later(self._evict),
            RESTARTED: lambda: self._later(lambda: labs.run(lab, "restart-apiserver", "target")),
            OCCUPIED: self._occupy,
        }

    def report(self, event: Event | Start) -> None:
        """For the executor."""
        if not isinstance(event, Event) or event.cell is None:
            return
        if event.status is None:
            self._to_come.pop(str(event.cell), lambda: None)()
        else:
            self.close()

    def _later(self, happens: Callable[[], object]) -> None:
        timer = threading.Timer(INTO_THE_CELL_S, happens)
        timer.start()
        self.callback(timer.join)

    def _evict(self) -> None:
        """End the client's pod, as who drains its node does."""
        body = {"metadata": {"name": "cnibench-client", "namespace": NAMESPACE}}
        core = self._api.core
        self._api.call(core.create_namespaced_pod_eviction, "cnibench-client", NAMESPACE, body)

    def _occupy(self) -> None:
        """Be faster than the server on its node."""
        with netns.inside(f"/run/netns/{self._lab.namespaces['n2']}"):
            faster = self.enter_context(socket.socket())
        faster.bind(("0.0.0.0", PORT))
        faster.listen()


def test_the_cell_of_an_evicted_pod_is_measured_again(cells: Run) -> None:
    assert is_sound(cells.cells()[EVICTED])


def test_an_api_server_that_is_restarted_in_mid_cell_costs_that_cell_at_most(cells: Run) -> None:
    """While it is away no counter can be read: if the cell ended just then, its window is wrong."""
    assert is_sound(cells.cells()[RESTARTED])


def test_a_server_whose_port_is_taken_is_a_failed_cell_and_never_that_of_the_other(
    cells: Run,
) -> None:
    status, reason = cells.cells()[OCCUPIED]
    assert status == "failed"
    assert "ddress already in use" in reason


def test_the_cell_and_the_block_after_those_are_sound(cells: Run) -> None:
    assert is_sound(cells.cells()[QUIET])
    assert cells.blocks()[NORMAL] == ("ok", "")


# ---------- a node that dies; last, since it takes longest
def test_a_node_that_dies_in_mid_cell_is_said_and_its_block_is_on_record_when_it_is_back(
    lab: Lab, api: Api, folder: Path
) -> None:
    run = Run(folder / "node")
    # On a busy machine it takes seconds until the node is dead.
    small = lab_job(lab, plugin(FAST), of=matrix(long("a") | {"duration_s": 15}))
    dies = threading.Timer(INTO_THE_CELL_S, labs.run, (lab, "kill-node", "n2"))

    def report(event: Event | Start) -> None:
        # The cell begins again with each try.
        if isinstance(event, Event) and event.cell and dies.ident is None:
            dies.start()

    try:
        with pytest.raises(TransientError, match="node n2 does not report"):
            run.of(small, report)
        (said,) = run.said("run-cells")
        assert "n2" in said
        assert run.cells() == {}
        # What the node holds is undone by the next run; what went wrong is known now.
        status, reason = run.blocks()[FAST]
        assert status == "failed"
        assert (
            "run_cells cells-1-1-of-1: cross-node.a: " in reason
            and "node n2 does not report" in reason
        )
    finally:
        labs.run(lab, "up", "--only", "target")
    assert run.of(small) == [], run.blocks()
    rows = run.select("select status, coalesce(reason, '') from blocks order by status")
    assert rows == [("failed", reason), ("ok", "")]
    assert is_sound(run.cells()["cross-node.a"])
