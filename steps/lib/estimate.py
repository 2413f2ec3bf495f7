"""What a plan costs and what it can show, before anything runs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.lib.models import Cell, TargetKind, Traffic, UdpStream
from steps.lib.plan import Plan, beside_time_s, pairs_of, run_time_s

if TYPE_CHECKING:
    import duckdb

CELL_OVERHEAD_S = 0.8
BLOCK_OVERHEAD_S = 6.0
"""Beyond the traffic itself: endpoints, probes, readings; target, install, proof, idle reading,
restore, removal. Measured on 2 virtual cores by ``make bench`` (``benchmarks/overhead.py``)."""

SERVICE_S = {"kubernetes": 0.03, "namespaces": 0.0}
"""Of each Service that a cell has made and taken away; embedded they are one script for all."""

POD_S = 0.2
POLICY_S = 3.0
"""Of each pod beside a cell; of a policy, most of it trials of a stranger who gets no answer. All
three are orders of magnitude, from single runs in the lab."""

Rates = Mapping[tuple[str, str], float]
"""Median rate in bit/s that the store already holds, by path and kind of traffic."""


def rates_of(database: "duckdb.DuckDBPyConnection") -> Rates:
    """What the measurements of a store say about rates."""
    found = database.execute(
        "select path, traffic, median(throughput_bits_per_s) from measurements "
        "where status = 'ok' and throughput_bits_per_s is not null "
        "and environment_class <> 'imported' group by all"
    ).fetchall()
    return {(path, traffic): rate for path, traffic, rate in found}


def spread_of(database: "duckdb.DuckDBPyConnection") -> dict[str, float]:
    """Variation between blocks that the store holds, in percent, by kind of traffic.

    Median over all cells of standard deviation / mean, for cells with at least two blocks.
    """
    found = database.execute(
        """
        with cells as (
            select
                traffic,
                stddev_samp(coalesce(throughput_bits_per_s, transactions_per_s))
                    / avg(coalesce(throughput_bits_per_s, transactions_per_s)) as spread,
            from measurements
            where status = 'ok' and role = 'cell' and environment_class <> 'imported'
            group by campaign, plugin, profile, path, traffic, cell
            having count(*) >= 2
        )
        select traffic, 100 * median(spread) from cells group by traffic order by traffic
        """
    ).fetchall()
    return dict(found)


@dataclass(frozen=True)
class Estimate:
    """Size of a plan.

    Attributes:
        cells: Number of cells by what will become of them: ``to run``, ``measured`` (in the store
            already), ``unsupported``.
        wall_s: Expected seconds if no try is given up for noise.
        stated_bytes: Traffic that follows from stated rates.
        estimated_bytes: Traffic of unbounded cells whose rate an earlier run in the store tells.
        unknown_cells: Unbounded cells nothing is known about yet.
    """

    cells: Counter[str]
    wall_s: float
    stated_bytes: float
    estimated_bytes: float
    unknown_cells: int


def estimate(plan: Plan, done: Mapping[str, set[str]], rates: Rates) -> Estimate:
    """Add up a plan.

    Args:
        plan: The plan.
        done: Ids of stored cells by block.
        rates: What earlier runs in the store say.
    """
    cells: Counter[str] = Counter()
    wall_s = stated = estimated = 0.0
    unknown = 0
    active: set[str] = set()
    for block, planned in plan:
        if planned.unsupported_reason:
            cells["unsupported"] += 1
        elif planned.id in done.get(block.id, ()):
            cells["measured"] += 1
        else:
            cells["to run"] += 1
            active.add(block.id)
            wall_s += cell_time_s(planned.cell.traffic, plan.job.campaign.target.kind)
            size = traffic_bytes(planned.cell, rates)
            unknown += size is None
            if isinstance(planned.cell.traffic, UdpStream):
                stated += size or 0.0
            else:
                estimated += size or 0.0
    wall_s += BLOCK_OVERHEAD_S * len(active)
    return Estimate(cells, wall_s, stated, estimated, unknown)


def cell_time_s(traffic: Traffic, target: TargetKind = "kubernetes") -> float:
    """Expected seconds of one cell, if its first try counts."""
    around_s = POLICY_S if traffic.policy else 0.0
    if traffic.scale:
        around_s += SERVICE_S[target] * traffic.scale.services + POD_S * traffic.scale.pods
    return run_time_s(traffic) + beside_time_s(traffic) + around_s + CELL_OVERHEAD_S


def traffic_bytes(cell: Cell, rates: Rates) -> float | None:
    """Bytes one cell sends; None where only a measurement could tell."""
    traffic = cell.traffic
    load, lasting_s = traffic.load, run_time_s(traffic) + beside_time_s(traffic)
    beside = load.rate_bits_per_s if load else 0
    if isinstance(traffic, UdpStream):
        rate: float | None = traffic.rate_bits_per_s * pairs_of(traffic)
    else:
        rate = rates.get((cell.path, traffic.kind))
    if rate is None or beside is None:
        return None
    return (rate * run_time_s(traffic) + beside * lasting_s) / 8
