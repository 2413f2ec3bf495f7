"""Cells that share a pod: starting one for each of them would take longer than short cells do.

A group is a range of the block's planned order, and its name says which: ``cells-1-25-of-57``. So
what Argo keeps for each pod, and shows, is a name, and no list of cells.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection

from steps.lib.errors import InputError
from steps.lib.estimate import cell_time_s
from steps.lib.plan import Block

GROUP_S = 600.0
"""Expected time of a group. A pod that is lost costs no stored cell, only its own start."""

GROUPS_MAX = 20
"""Of a block, whose groups then take longer. Argo keeps two nodes for each in the object of the
workflow, whose size has a limit: ``benchmarks/argo.py`` says how large it becomes."""


def cell_groups(block: Block, cells: Collection[str]) -> list[str]:
    """Ranges of about the same time that hold these cells, in their planned order."""
    wanted = set(cells)
    planned = [each for each in block.cells if each.id in wanted]
    times_s = [cell_time_s(each.cell.traffic) for each in planned]
    share_s = sum(times_s) / max(1, group_count(sum(times_s)))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    begins_s = 0.0
    for each, time_s in zip(planned, times_s, strict=True):
        groups[int(begins_s / share_s)].append(each.order)
        begins_s += time_s
    return [f"cells-{g[0] + 1}-{g[-1] + 1}-of-{len(block.cells)}" for g in groups.values()]


def group_count(cells_s: float) -> int:
    """How many groups there are of cells that take so long together."""
    return min(GROUPS_MAX, math.ceil(cells_s / GROUP_S))


def cells_of(block: Block, group: str, done: Collection[str]) -> list[str]:
    """What is to be run of a group: supported cells without a measurement.

    Raises:
        InputError: it is no name of a group of this block.
    """
    found = re.fullmatch(r"cells-(\d+)-(\d+)-of-(\d+)", group)
    if found is None or int(found[3]) != len(block.cells):
        raise InputError(f"block {block.id} has no group of cells {group!r}")
    cells = block.cells[int(found[1]) - 1 : int(found[2])]
    return [c.id for c in cells if c.unsupported_reason is None and c.id not in done]
