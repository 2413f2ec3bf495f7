"""The project's own transact beside netperf: the same cell with either, in turn.

Printed are ratios transact / netperf of neighbouring runs, which met the same machine: of the rate,
of the median latency, and of the CPU that all of it spends on a transaction.
A ratio of 1 says that numbers of the two can stand beside each other; of new connections it does
not have to be 1, since here the server ends them and there the client.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import median, stdev
from typing import Any

from benchmarks.report import Figure, finish, options
from steps.lib import tools
from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError
from steps.lib.models import PATHS, Cell, PathName, TargetSpec, Transactions
from steps.lib.placing import endpoints
from steps.lib.plan import PlannedCell
from steps.lib.run import run_traffic, wait_until_quiet
from steps.lib.targets.namespaces import NamespacesTarget
from steps.lib.traffic import tool_for

PLUGIN = "bridge-routes"
PATH: PathName = "cross-node"
KINDS = ("tcp-rr", "tcp-crr")
TOOLS = ("netperf", "transact")
BUSY_PERCENT_MAX = 30.0

Run = Mapping[str, float]


def main() -> None:
    """Run the cells, print the ratios."""
    parser = options(__doc__ or "")
    parser.add_argument("--runs", type=int, default=10, help="pairs of each kind")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run")
    arguments = parser.parse_args()
    target = NamespacesTarget(TargetSpec(kind="namespaces", name="bench"), tools.toolbox())
    target.prepare()
    try:
        target.install(Catalog().plugins.load(PLUGIN), "benchmark")
        for kind in KINDS:
            pairs = _pairs(target, kind, arguments.runs, arguments.seconds)
            title = f"transactions, {kind}, {PATH} of {PLUGIN}, {arguments.runs} pairs"
            finish(title, _ratios(pairs), arguments.json)
    finally:
        target.save_state(None)
        target.discard()


def _pairs(target: NamespacesTarget, kind: str, runs: int, seconds: int) -> list[dict[str, Run]]:
    """Each pair in another order than the one before it."""
    pairs = []
    for number in range(runs):
        order = TOOLS if number % 2 else TOOLS[::-1]
        pairs.append({tool: _run(target, kind, tool, seconds) for tool in order})
    return pairs


def _run(target: NamespacesTarget, kind: str, tool_name: str, seconds: int) -> Run:
    fields: dict[str, Any] = {"kind": kind, "tool": tool_name, "duration_s": seconds}
    traffic = Transactions(id="benchmark", request_bytes=1, response_bytes=1, **fields)
    planned = PlannedCell("benchmark", "cell", Cell(path=PATH, traffic=traffic), 0)
    tool = tool_for(traffic)
    wait_until_quiet(target, BUSY_PERCENT_MAX)
    with endpoints(target, PATHS[PATH], tool, traffic) as ends:
        run = run_traffic(target, tool, planned, ends)
        window = run.window(ends)
    if window is None:
        raise RefusedError(f"{tool_name} did not report both ends of its window")
    metrics = tool.parse(bytes(run.output), run.version_output).metrics
    rate = float(metrics["transactions_per_s"] or 0)
    cpu_s = window.cpu.busy_s - window.cpu.foreign_s
    return {
        "rate": rate,
        "median latency": float(metrics["latency_us_p50"] or 0),
        "CPU per transaction": cpu_s / (rate * window.cpu.wall_s),
    }


def _ratios(pairs: list[dict[str, Run]]) -> list[Figure]:
    """Their medians, each with its standard error in the name."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        for name, value in pair["transact"].items():
            ratios[name].append(value / pair["netperf"][name])
    return [
        Figure(f"{name} (±{1.25 * stdev(r) / math.sqrt(len(r)):.3f})", median(r), "", 1.0)
        for name, r in ratios.items()
    ]


if __name__ == "__main__":
    main()
