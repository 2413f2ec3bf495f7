"""Stage 3: prove that packets flow on every path the plugin claims, before anything is measured."""

import logging
import time
from collections.abc import Iterable, Sequence

from hera.workflows import Output

from steps.lib.context import Context
from steps.lib.errors import RefusedError
from steps.lib.models import PATHS, Cell, Limits
from steps.lib.placing import by_path, endpoints
from steps.lib.reading import CpuUse, Ends
from steps.lib.run import wait_until_quiet
from steps.lib.stage import BlockInput, stage
from steps.lib.traffic import tool_for
from steps.lib.traffic.protocol import family_option

LOG = logging.getLogger("cnibench")
IDLE_SAMPLE_S = 1.0
IDLE_BUSY_PERCENT_MAX = 40.0
"""Busier than this is no idle node, whatever the matrix lets a cell start with: what is subtracted
from the cost of traffic would be somebody's work."""
IDLE_TIMEOUT_S = 30.0
"""Pods that proved the last path take seconds to go; a reading in which one went tells nothing. A
machine that is not idle by then will not become so, and each block would wait for it."""
PING_TIMEOUT_S = 10.0


class VerifyPluginInput(BlockInput):
    """See ``BlockInput``."""


class VerifyPluginOutput(Output):
    """Nothing: times are in the block's state."""


@stage(deadline_s=600)
def verify_plugin(verify_input: VerifyPluginInput) -> VerifyPluginOutput:
    """Prove services and the paths of the matrix, then read how busy the idle node is.

    Reads: the data path.
    Writes: time to a proven data path and idle footprint in the block's state; no endpoint stays.
    Fails when: a path that the plugin claims does not answer.
    """
    context = verify_input.open()
    started = time.monotonic()
    context.target.prove(context.block.plugin)
    able = (c.cell for c in context.block.cells if not c.unsupported_reason and c.role == "cell")
    for cells in _by_ends({(c.path, c.traffic.family): c for c in able}.values()):
        _probe(context, cells)
    ready_s = (context.state().install_s or 0.0) + time.monotonic() - started
    context.update(
        ready_s=ready_s,
        idle_busy_cpus=_idle_busy_cpus(context),
        plugin_memory_bytes=context.target.plugin_memory_bytes(),
    )
    return VerifyPluginOutput()


def _by_ends(cells: Iterable[Cell]) -> Iterable[list[Cell]]:
    """Those between the same two ends together; the first of each publishes ports, if any does.

    Making pods takes longer than anything that is asked of them here.
    """
    found: dict[object, list[Cell]] = {}
    for cell in cells:
        path = PATHS[cell.path]
        # A server has one Service at a time, a headless one or one with an address.
        ends = (path.client, path.server, path.by_name, cell.traffic.family)
        found.setdefault(ends, []).append(cell)
    for between in found.values():
        between.sort(key=lambda cell: not PATHS[cell.path].published)
    return found.values()


def _probe(context: Context, cells: Sequence[Cell]) -> None:
    first, *others = cells
    path, traffic = PATHS[first.path], first.traffic
    with endpoints(context.target, path, tool_for(traffic), traffic) as ends:
        _ping(context, first, ends)
        for cell in others:
            _ping(context, cell, by_path(ends, PATHS[cell.path], traffic.family))


def _ping(context: Context, cell: Cell, ends: Ends) -> None:
    path = cell.path
    command = ["ping", family_option(cell.traffic), "-n", "-q", "-c", "1", "-w", "5"]
    command.append(ends.probe_address)
    status, stderr = context.target.start(ends.client, command, "probe").stop(PING_TIMEOUT_S)
    if status != 0:
        raise RefusedError(
            f"plugin {context.block.plugin.name}: no answer on path {path} from "
            f"{ends.client.address} to {ends.probe_address} "
            f"{stderr.decode(errors='replace').strip()}"
        )


def _idle_busy_cpus(context: Context) -> float | None:
    """CPUs busy without traffic; None where noise made every reading worthless."""
    limits = context.job.matrix.limits
    quiet_percent = min(limits.busy_percent_max_before_start, IDLE_BUSY_PERCENT_MAX)
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < deadline:
        wait_until_quiet(context.target, quiet_percent)
        before = context.target.cpu()
        time.sleep(IDLE_SAMPLE_S)
        use = CpuUse(before, context.target.cpu())
        if not _noisy(use, limits):
            return use.busy_s / use.wall_s
    LOG.warning("the idle CPU time of this block is not known: other processes, or steal")
    return None


def _noisy(use: CpuUse, limits: Limits) -> bool:
    """Whether more than the idle system is in the reading, as the end of a probe's pods."""
    return (
        100 * use.busy_s / use.capacity_s > IDLE_BUSY_PERCENT_MAX
        or use.steal_percent > limits.steal_percent_max
        or use.foreign_percent > limits.foreign_cpu_percent_max
        or bool(use.vanished or use.begun_anew)
    )
