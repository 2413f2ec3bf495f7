"""How far cycles per packet can be believed: spread of repeated runs, and what sampling costs.

One cell of the embedded target is run again and again, in turn without samples and at each
frequency, so that whatever the machine does meanwhile meets all of them. A run that the noise gates
would reject is tried again. Printed are the
coefficient of variation of cycles per packet (all that ran counts, as in a campaign's rows, and
without strangers' processes), the ratio of counted to estimated cycles where there are hardware
counters, and what sampling takes: ratios of neighbouring runs, of throughput and of CPU per packet.
"""

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import mean, median, stdev

from benchmarks.report import Figure, finish, options
from steps.lib import tools
from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError
from steps.lib.models import PATHS, Cell, Limits, PathName, TargetSpec, TcpStream
from steps.lib.placing import endpoints
from steps.lib.plan import PlannedCell
from steps.lib.reading import Ends, Window
from steps.lib.row import packets_of
from steps.lib.run import run_traffic, wait_until_quiet
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.traffic import tool_for

PLUGIN = "bridge-vxlan"
PATH: PathName = "cross-node"
DEFAULT_HZ, HIGH_HZ = 99, 1999
FREQUENCIES_HZ = (0, DEFAULT_HZ, HIGH_HZ)
"""What the default costs may be less than such runs can tell; what twenty times as many samples
cost, divided by twenty, is told better."""

LIMITS = Limits(busy_percent_max_before_start=30)
ATTEMPTS_MAX = 5


Watching = Callable[[NamespacesTarget, Ends], AbstractContextManager[object]]


def not_watching(target: NamespacesTarget, ends: Ends) -> AbstractContextManager[object]:
    """Nothing is done beside the traffic."""
    return nullcontext()


@dataclass(frozen=True)
class Run:
    """One run of the cell."""

    segments_per_s: float
    busy_s_per_segment: float
    own_s_per_segment: float
    cycles: int | None
    estimated_cycles: float | None
    foreign_share: float
    is_quiet: bool


def main() -> None:
    """Run the cell, print the figures."""
    parser = options(__doc__ or "")
    parser.add_argument("--runs", type=int, default=10, help="runs at each frequency")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run")
    arguments = parser.parse_args()
    target = NamespacesTarget(TargetSpec(kind="namespaces", name="bench"), tools.toolbox())
    target.prepare()
    try:
        target.install(Catalog().plugins.load(PLUGIN), "benchmark")
        found: dict[int, list[Run]] = {hz: [] for hz in FREQUENCIES_HZ}
        for number in range(arguments.runs):
            turn = number % len(FREQUENCIES_HZ)
            for hz in FREQUENCIES_HZ[turn:] + FREQUENCIES_HZ[:turn]:
                found[hz].append(quiet_run(target, hz, arguments.seconds))
    finally:
        target.save_state(None)
        target.discard()
    title = f"cycles, {PATH} of {PLUGIN}, {arguments.runs} runs of {arguments.seconds} s"
    finish(title, [*_believed(found[0]), *_costs(found)], arguments.json)


def _believed(runs: list[Run]) -> list[Figure]:
    figures = [
        Figure("runs that met noise", sum(not r.is_quiet for r in runs) / len(runs), "", 0.2),
        Figure("foreign share of the busy time", 100 * mean(r.foreign_share for r in runs), "%", 5),
        Figure(
            "spread (CV) of the estimate", _spread([r.busy_s_per_segment for r in runs]), "%", 10
        ),
        Figure("... without strangers", _spread([r.own_s_per_segment for r in runs]), "%", 10),
    ]
    ratios = [r.cycles / r.estimated_cycles for r in runs if r.cycles and r.estimated_cycles]
    if ratios:
        figures.append(Figure("counted / estimated cycles", median(ratios), "", 1))
    return figures


def _spread(values: list[float]) -> float:
    return 100 * stdev(values) / mean(values)


def _costs(found: dict[int, list[Run]]) -> list[Figure]:
    figures = []
    for hz in FREQUENCIES_HZ[1:]:
        figures += cost(f"{hz} Hz", found[0], found[hz])
    pairs = zip(found[0], found[HIGH_HZ], strict=True)
    dearer = [run.own_s_per_segment / without.own_s_per_segment for without, run in pairs]
    part = DEFAULT_HZ / HIGH_HZ
    scaled = [1 + (ratio - 1) * part for ratio in dearer]
    return [*figures, _ratio(f"{DEFAULT_HZ} Hz: CPU per packet, from that at {HIGH_HZ} Hz", scaled)]


def cost(of: str, without: list[Run], having: list[Run]) -> list[Figure]:
    """Ratios of neighbours, since they met the same machine."""
    pairs = list(zip(without, having, strict=True))
    slower = [bare.segments_per_s / run.segments_per_s for bare, run in pairs]
    dearer = [run.own_s_per_segment / bare.own_s_per_segment for bare, run in pairs]
    return [
        _ratio(f"{of}: throughput without / with", slower),
        _ratio(f"{of}: CPU per packet with / without", dearer),
    ]


def _ratio(name: str, ratios: list[float]) -> Figure:
    """Their median, with its standard error in the name."""
    error = 1.25 * stdev(ratios) / math.sqrt(len(ratios))
    return Figure(f"{name} (±{error:.4f})", median(ratios), "", 1.01)


def quiet_run(
    target: NamespacesTarget, hz: int, seconds: int, watching: Watching = not_watching
) -> Run:
    """A run that the noise gates would let pass; the last one if there is none."""
    for attempt in range(ATTEMPTS_MAX):
        run = _run(target, hz, seconds, watching)
        if run.is_quiet:
            break
        sys.stderr.write(f"{hz} Hz: run {attempt + 1} met noise\n")
    return run


def _run(target: NamespacesTarget, hz: int, seconds: int, watching: Watching) -> Run:
    traffic = TcpStream(
        id="tcp-1",
        kind="tcp-stream",
        message_bytes=131072,
        congestion_control="cubic",
        duration_s=seconds,
        omit_s=1,
    )
    planned = PlannedCell("benchmark", "cell", Cell(path=PATH, traffic=traffic), 0)
    tool = tool_for(traffic)
    wait_until_quiet(target, LIMITS.busy_percent_max_before_start)
    with (
        endpoints(target, PATHS[PATH], tool, traffic) as ends,
        target.sampling(hz) as sampling,
        watching(target, ends),
    ):
        window = run_traffic(target, tool, planned, ends).window(ends)
        if window is None:
            raise RefusedError("the tool did not report both ends of its window")
        sampled = sampling.between(window.cpu.first, window.cpu.last)
    if hz and not sampled.stacks:
        raise RefusedError(f"nothing was sampled at {hz} Hz: {sampled.reason}")
    return _told(target, window, ends, traffic)


def _told(target: NamespacesTarget, window: Window, ends: Ends, traffic: TcpStream) -> Run:
    segments, _ = packets_of(window, traffic)
    busy_s, nominal_hz = window.cpu.busy_s, target.facts(ends.client.node).cpu_nominal_hz
    return Run(
        segments_per_s=segments / window.cpu.wall_s,
        busy_s_per_segment=busy_s / segments,
        own_s_per_segment=(busy_s - window.cpu.foreign_s) / segments,
        cycles=window.cpu.cycles,
        estimated_cycles=None if nominal_hz is None else busy_s * nominal_hz,
        foreign_share=window.cpu.foreign_s / busy_s,
        is_quiet=window.cpu.foreign_percent <= LIMITS.foreign_cpu_percent_max
        and window.cpu.steal_percent <= LIMITS.steal_percent_max,
    )


if __name__ == "__main__":
    main()
