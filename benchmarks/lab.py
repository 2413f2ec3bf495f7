"""What plugins cost on a real cluster: install, remove, idle, pod start; and cells beside traffic.

Runs the campaign of the lab in a lab of its own, which is taken down at the end, or in one that is
up, which stays. The start of 1 and of 20 pods is timed while a block has its plugin
installed and runs nothing. What the network takes of a pod's start is a difference of two means:
that of sandboxes in the pod network less that of sandboxes in the node's. One block of each plugin:
figures to plan a campaign with, not to rank plugins by.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pod_start import pod_start_s
from benchmarks.report import Figure, finish, options
from lab.layout import Lab, select
from steps.lib.catalog import Job, load_job
from steps.lib.database import open_database
from steps.lib.executor import Event, Start, run_campaign
from steps.lib.models import HostNetwork, Plugin
from steps.lib.models.campaign import ExternalClient
from steps.lib.plan import run_time_s
from steps.lib.store import open_store
from steps.lib.targets.kubernetes.api import Api, connect

CAMPAIGN = Path(__file__).parents[1] / "workflows" / "campaigns" / "lab.yaml"
PORT = 20443
SINGLES = 5
"""One pod is started this often, 20 at once only once; each time the median counts."""

AT_ONCE = 20
QUIET_STAGE = "plan-cells"
"""Just before its cells a block has a proven plugin and tuned nodes, and nothing runs in them."""

COLUMNS = {
    "ready_s": ("install to ready", "s", 30.0),
    "remove_s": ("remove to clean", "s", 15.0),
    "idle_busy_cpus": ("idle, busy CPUs of all nodes", "CPU", 0.2),
    "plugin_memory_bytes": ("memory of its pods per node", "byte", 200e6),
}
"""Of the table ``blocks``: name, unit, and an aim that is bearable for 40 blocks; of memory the
upper end of what was published, 40 to 200 MB a node."""

# Published: the network's part of a pod's start is 60 ms with the plainest plugins. The rest is
# what a cell can bear that has to wait for its pods.
AIM_NETWORK_S = 0.06
AIM_STARTED_S = {1: 2.0, AT_ONCE: 10.0}
AIM_CELL = 1.5


def main() -> None:
    """Run the campaign and print, plugin by plugin."""
    parser = options(__doc__ or "")
    parser.add_argument("--plugins", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--name", default="bench", help="of the lab")
    parser.add_argument("--port", type=int, default=PORT, help="of the lab")
    arguments = parser.parse_args()
    lab = Lab(name=arguments.name, port=arguments.port)
    with _up(lab), tempfile.TemporaryDirectory() as store:
        job = _job(lab, arguments.plugins)
        observer = _Observer(job, connect(lab.context(select("target")[0])))
        try:
            failed = run_campaign(job, store, observer)
        finally:  # What was measured so far has taken its time.
            _finish(job, _blocks(store), observer, arguments.json)
    if failed:
        sys.exit(f"failed blocks: {', '.join(failed)}")


def _finish(
    job: Job, blocks: dict[str, dict[str, Any]], observer: "_Observer", path: Path | None
) -> None:
    for plugin in job.plugins:
        figures = _of_block(blocks.get(plugin.name, {})) + observer.of_plugin(plugin.name)
        finish(f"lab, {plugin.name}", figures, path)
    finish("lab", observer.of_cells(), path)


@contextmanager
def _up(lab: Lab) -> Iterator[None]:
    """The lab's target cluster; one that was up before stays up."""
    command = [sys.executable, "-m", "lab", "--name", lab.name, "--port", str(lab.port)]
    was_up = bool(lab.wanted())
    try:
        if subprocess.run([*command, "up", "--only", "target"], check=False).returncode:
            sys.exit("the lab did not come up")
        os.environ["KUBECONFIG"] = str(lab.kubeconfig)
        yield
    finally:
        if not was_up:
            subprocess.run([*command, "down"], check=True)


def _job(lab: Lab, plugins: list[str] | None) -> Job:
    """The lab's campaign, in this lab, with some or all of its plugins."""
    job = load_job(CAMPAIGN)
    kept = tuple(p for p in job.plugins if plugins is None or p.name in plugins)
    if plugins is not None and len(kept) != len(set(plugins)):
        sys.exit(f"--plugins: {CAMPAIGN.name} has {', '.join(p.name for p in job.plugins)}")
    changes = {
        "context": lab.context(select("target")[0]),
        "external_client": ExternalClient(namespace=lab.namespaces["client"]),
    }
    target = job.campaign.target.model_copy(update=changes)
    names = tuple(p.name for p in kept)
    campaign = job.campaign.model_copy(update={"plugins": names, "target": target})
    return job.model_copy(update={"plugins": kept, "campaign": campaign})


class _Observer:
    """Is told what the campaign does; takes times of cells, and looks at plugins between stages."""

    def __init__(self, job: Job, api: Api) -> None:
        self._api, self._image = api, job.campaign.target.toolbox_image
        self._figures: dict[str, list[Figure]] = {}
        self._began_s = 0.0
        self._cells: list[tuple[float, float]] = []
        """Wall time and traffic time of each cell that counted at its first try or later."""

    def __call__(self, event: Event | Start) -> None:
        """Take one event; what is done here is outside of what the block times."""
        if isinstance(event, Start):
            return
        if event.stage == QUIET_STAGE and event.status is None:
            self._look(event.block.plugin)
        elif event.status is None:
            self._began_s = time.monotonic()
        elif event.cell and event.status == "ok":
            traffic_s = run_time_s(event.block.cell(event.cell).cell.traffic)
            self._cells.append((time.monotonic() - self._began_s, traffic_s))
        if event.status is not None and event.status.startswith("failed"):
            sys.stderr.write(f"{event.block.id} {event.cell or event.stage}: {event.status}\n")

    def of_plugin(self, plugin: str) -> list[Figure]:
        """What was read of a plugin; nothing if its block did not come so far."""
        return self._figures.get(plugin, [])

    def of_cells(self) -> list[Figure]:
        """What measuring costs beyond the traffic itself."""
        if not self._cells:
            return []
        wall_s, traffic_s = map(sum, zip(*self._cells, strict=True))
        count = len(self._cells)
        return [
            Figure("wall time / traffic time of a cell", wall_s / traffic_s, "", AIM_CELL),
            Figure("overhead per cell", (wall_s - traffic_s) / count, "s", 1.5),
        ]

    def _look(self, plugin: Plugin) -> None:
        sys.stderr.write(f"{plugin.name}: starting pods\n")
        figures: list[Figure] = []
        for count, repeats in ((1, SINGLES), (AT_ONCE, 1)):
            host = self._medians(count, repeats, host_network=True)
            figures += _of_start(count, host, "host network")
            if not isinstance(plugin.install, HostNetwork):
                own = self._medians(count, repeats, host_network=False)
                figures += _of_start(count, own, "pod network")
                share_s = own["sandbox alone"] - host["sandbox alone"]
                name = f"{_pods(count)}, sandbox in the pod network less that in the host network"
                figures.append(Figure(name, share_s, "s", AIM_NETWORK_S))
        self._figures[plugin.name] = figures

    def _medians(self, count: int, repeats: int, *, host_network: bool) -> dict[str, float]:
        runs = [
            pod_start_s(self._api, self._image, count, host_network=host_network)
            for _ in range(repeats)
        ]
        return {step: median(run[step] for run in runs) for step in runs[0]}


def _of_start(count: int, times_s: dict[str, float], network: str) -> list[Figure]:
    """The steps in their order; a step that came together with a later one shows the same time."""
    return [
        Figure(f"{_pods(count)}, {network}, {step}", times_s[step], "s", AIM_STARTED_S[count])
        for step in sorted(times_s, key=lambda step: times_s[step])
    ]


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods at once"


def _blocks(store: str) -> dict[str, dict[str, Any]]:
    """Rows of ``blocks`` by plugin."""
    names = ", ".join(COLUMNS)
    rows = open_database(open_store(store)).execute(f"select plugin, {names} from blocks")
    return {row[0]: dict(zip(COLUMNS, row[1:], strict=True)) for row in rows.fetchall()}


def _of_block(row: dict[str, Any]) -> list[Figure]:
    """Without what is unknown: idle CPU where the machine was not quiet, times after a failure."""
    return [
        Figure(name, row[column], unit, aim)
        for column, (name, unit, aim) in COLUMNS.items()
        if row.get(column) is not None
    ]


if __name__ == "__main__":
    main()
