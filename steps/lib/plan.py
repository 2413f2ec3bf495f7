"""The plan: every cell of a campaign in the order it will run, a pure function of the job.

Blocks are randomised and complete: each repeat holds each candidate (plugin x profile) once, in an
order drawn from the campaign's seed; the cells of a block are shuffled too. So drift of the machine
spreads over all candidates instead of favouring the first.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil
from typing import Any, Literal, NamedTuple

from steps.lib import lacking
from steps.lib.catalog import Job
from steps.lib.errors import InputError
from steps.lib.models import (
    IP_HEADER_BYTES,
    PATHS,
    Cell,
    CpuComponents,
    NoDropSearch,
    PathName,
    Plugin,
    Profile,
    Stream,
    Traffic,
    datagram_sizes,
)
from steps.lib.tables import METHOD_VERSION

Role = Literal["cell", "reference"]

COVER_S = 4.0
COVER_EACH_S = 0.25
"""What runs beside a cell begins two seconds before it and ends two after; each takes its start."""

AROUND_TRIAL_S = 0.8
"""What a run of a search takes beside its traffic: endpoints, probes, readings."""

UDP_HEADER_BYTES = 8


@dataclass(frozen=True)
class PlannedCell:
    """One cell of one block. ``unsupported_reason`` is None where it can run."""

    id: str
    role: Role
    cell: Cell
    order: int
    unsupported_reason: str | None = None


@dataclass(frozen=True)
class Block:
    """One independent run: a plugin with a profile, and all cells of the matrix once."""

    job: Job
    plugin: Plugin
    profile: Profile
    repeat: int
    order: int
    unsupported_reason: str | None = None

    @cached_property
    def id(self) -> str:
        """``<plugin>.<profile>.r<repeat>``."""
        return f"{self.plugin.name}.{self.profile.name}.r{self.repeat}"

    @cached_property
    def cells(self) -> tuple[PlannedCell, ...]:
        """All cells in running order: reference, shuffled cells, reference."""
        cells = list(self.job.matrix.cells)
        random.Random(f"{self.job.campaign.seed}/{self.id}").shuffle(cells)
        planned: list[tuple[str, Role, Cell]] = [(c.id, "cell", c) for c in cells]
        if self.job.matrix.reference:
            reference = Cell(path="host-to-host", traffic=self.job.matrix.reference)
            planned.insert(0, ("reference.start", "reference", reference))
            planned.append(("reference.end", "reference", reference))
        return tuple(
            PlannedCell(id, role, cell, order, self._unsupported_cell(cell))
            for order, (id, role, cell) in enumerate(planned)
        )

    def cell(self, cell_id: str) -> PlannedCell:
        """The cell of that id.

        Raises:
            InputError: the block has no such cell.
        """
        found = next((c for c in self.cells if c.id == cell_id), None)
        if found is None:
            raise InputError(f"block {self.id} has no cell {cell_id!r}")
        return found

    def _unsupported_cell(self, cell: Cell) -> str | None:
        target = self.job.campaign.target
        return self.unsupported(cell.path) or lacking.cell_lacks(target, self.plugin, cell)

    def unsupported(self, path: PathName) -> str | None:
        """Why nothing can be measured on the path in this block, or None."""
        return self.unsupported_reason or lacking.path_lacks(
            self.job.campaign.target, self.plugin, path
        )


@dataclass(frozen=True)
class Plan:
    """All blocks of a job, in running order."""

    job: Job
    blocks: tuple[Block, ...]

    def block(self, block_id: str) -> Block:
        """The block of that id.

        Raises:
            InputError: the campaign has no such block.
        """
        found = next((b for b in self.blocks if b.id == block_id), None)
        if found is None:
            raise InputError(f"campaign {self.job.campaign.name} has no block {block_id!r}")
        return found

    def __iter__(self) -> Iterator[tuple[Block, PlannedCell]]:
        """Every cell with its block."""
        return ((block, cell) for block in self.blocks for cell in block.cells)

    @property
    def baseline(self) -> str | None:
        """Name of the plugin that others are compared with, if one is planned."""
        return next((p.name for p in self.job.plugins if p.baseline), None)


class Unsupported(NamedTuple):
    """Why a target cannot run plugins, or be tuned by profiles, by their names."""

    plugins: Mapping[str, str] = {}
    profiles: Mapping[str, str] = {}


def make_plan(job: Job, unsupported: Unsupported | None = None) -> Plan:
    """Order all blocks of a job.

    Args:
        job: The campaign with its catalog entries.
        unsupported: Plugins the target cannot run at all, and profiles that its nodes cannot be
            tuned by, with the reason.

    Raises:
        InputError: a datagram would not fit unfragmented.
    """
    _check_datagrams(job)
    unsupported = unsupported or Unsupported()
    reasons = {
        p.name: _wrong_target(job, p) or unsupported.plugins.get(p.name) for p in job.plugins
    }
    candidates = [(plugin, profile) for plugin in job.plugins for profile in job.profiles]
    blocks: list[Block] = []
    for repeat in range(1, job.campaign.repeats + 1):
        order = candidates.copy()
        random.Random(f"{job.campaign.seed}/{repeat}").shuffle(order)
        for plugin, profile in order:
            reason = reasons[plugin.name] or unsupported.profiles.get(profile.name)
            blocks.append(Block(job, plugin, profile, repeat, len(blocks), reason))
    return Plan(job, tuple(blocks))


def digest(job: Job, tools: str, rules: CpuComponents) -> str:
    """sha256 of everything a campaign pins; a resume with another digest is refused.

    The rules by which samples of CPUs are told apart are among it: a question takes the mean of a
    campaign's blocks, and shares by other rules are not of the same parts.
    """
    pinned = {
        "job": job.model_dump(mode="json"),
        "method": METHOD_VERSION,
        "tools": tools,
        "components": rules.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(pinned, sort_keys=True).encode()).hexdigest()


def underlay_mtu(job: Job, profile: Profile) -> int:
    """MTU between the nodes: the profile's, else the target's own."""
    return profile.mtu_bytes or job.campaign.target.underlay_mtu


def pod_mtu(job: Job, plugin: Plugin, profile: Profile) -> int:
    """MTU that pods of this plugin have on the campaign's target, tuned by the profile."""
    return underlay_mtu(job, profile) - plugin.mtu_overhead_bytes


def _wrong_target(job: Job, plugin: Plugin) -> str | None:
    target = job.campaign.target
    if target.kind not in plugin.targets:
        return f"the plugin does not exist on target {target.kind!r}"
    if target.kind == "kubernetes" and not plugin.baseline:
        lacking = sorted(set(plugin.families) - set(target.families))
        if lacking:
            return f"its pods have addresses of {lacking[0]}, which `target.families` lack"
    return None


def _check_datagrams(job: Job) -> None:
    for cell in job.matrix.cells:
        if PATHS[cell.path].address == "loopback":
            continue
        sizes = datagram_sizes(cell.traffic)
        for plugin, profile, name in product(job.plugins, job.profiles, sizes):
            mtu = pod_mtu(job, plugin, profile)
            limit = mtu - IP_HEADER_BYTES[cell.traffic.family] - UDP_HEADER_BYTES
            able = cell.path in plugin.paths and cell.traffic.family in plugin.families
            if sizes[name] > limit and able:
                raise InputError(
                    f"matrix {job.matrix.name}: traffic {cell.traffic.id}: {name}: "
                    f"{sizes[name]} does not fit unfragmented with plugin "
                    f"{plugin.name} (pod MTU {mtu}); write at most {limit}"
                )


def cell_identity(block: Block, planned: PlannedCell) -> dict[str, Any]:
    """The columns that name a cell, as in the tables ``planned`` and ``measurements``."""
    return {
        **block_identity(block),
        "cell": planned.id,
        "role": planned.role,
        **planned.cell.columns,
    }


def block_identity(block: Block) -> dict[str, Any]:
    """The columns that name a block."""
    return {
        "campaign": block.job.campaign.name,
        "block": block.id,
        "plugin": block.plugin.name,
        "profile": block.profile.name,
        "repeat": block.repeat,
    }


def planned_rows(plan: Plan) -> list[dict[str, Any]]:
    """Rows of the table ``planned``."""
    return [
        {
            **cell_identity(block, cell),
            "block_order": block.order,
            "cell_order": cell.order,
            "unsupported_reason": cell.unsupported_reason,
        }
        for block, cell in plan
    ]


def run_time_s(traffic: Traffic) -> int:
    """Seconds of traffic one try of a cell takes; of a search, as long as nothing disturbs it."""
    if isinstance(traffic, NoDropSearch):
        searching = traffic.trials_needed - traffic.confirmations
        each_s = traffic.omit_s + AROUND_TRIAL_S
        of_all_s = each_s * traffic.trials_needed + traffic.trial_s * searching
        return ceil(of_all_s + traffic.duration_s * traffic.confirmations)
    return traffic.duration_s + traffic.omit_s


def beside_time_s(traffic: Traffic) -> float:
    """Seconds that what runs beside a cell takes longer than the cell itself; 0 without it."""
    companions = pairs_of(traffic) - 1 + (1 if traffic.load else 0)
    return COVER_S + COVER_EACH_S * companions if companions else 0.0


def pairs_of(traffic: Traffic) -> int:
    """Pairs of ends that send at once."""
    return traffic.pairs if isinstance(traffic, Stream) else 1
