"""Cells that share a pod: starting one for each of them would take longer than short cells do.

A group is a range of the block's planned order, and its name says which: ``cells-1-25-of-57``. So
what Argo keeps for each pod, and shows, is a name, and no list of cells.
"""

import re
from collections.abc import Collection, Sequence

from steps.lib.errors import InputError
from steps.lib.estimate import cell_time_s
from steps.lib.plan import Block

GROUP_S = 300.0
"""Expected time of a group. A pod that is lost costs no stored cell, only its own start."""

CELLS_MAX = 25


def cell_groups(block: Block, cells: Sequence[str]) -> list[str]:
    """Ranges of about ``GROUP_S`` that hold these cells, in their planned order."""
    groups: list[list[int]] = []
    left_s = 0.0
    for planned in (each for each in block.cells if each.id in cells):
        needed_s = cell_time_s(planned.cell.traffic)
        if not groups or needed_s > left_s or len(groups[-1]) == CELLS_MAX:
            groups.append([])
            left_s = GROUP_S
        groups[-1].append(planned.order)
        left_s -= needed_s
    return [f"cells-{g[0] + 1}-{g[-1] + 1}-of-{len(block.cells)}" for g in groups]


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
