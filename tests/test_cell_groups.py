import pytest

from steps.lib.cell_groups import GROUPS_MAX, cell_groups, cells_of
from steps.lib.errors import InputError
from steps.lib.plan import Block, make_plan
from tests.jobs import TCP, job, matrix


def block(cells: int, duration_s: int) -> Block:
    """A block of so many cells on one path, and two references."""
    traffic = [TCP | {"id": f"tcp-{n}", "duration_s": duration_s} for n in range(cells)]
    of = matrix(*traffic, reference=TCP | {"id": "reference"})
    return make_plan(job(("bridge-routes",), of=of)).blocks[0]


def ids(of: Block) -> list[str]:
    return [cell.id for cell in of.cells]


@pytest.mark.parametrize(("cells", "duration_s"), [(1, 1), (60, 1), (40, 60), (3, 3000)])
def test_groups_hold_every_cell_once_in_its_order(cells: int, duration_s: int) -> None:
    of = block(cells, duration_s)
    groups = cell_groups(of, ids(of))
    assert [c for group in groups for c in cells_of(of, group, ())] == ids(of)


@pytest.mark.parametrize("duration_s", [1, 20])
def test_a_block_of_very_many_cells_has_few_groups_of_about_the_same_size(duration_s: int) -> None:
    of = block(2000, duration_s)
    groups = cell_groups(of, ids(of))
    assert 5 < len(groups) <= GROUPS_MAX
    sizes = [len(cells_of(of, group, ())) for group in groups]
    assert max(sizes) - min(sizes) <= 3


def test_only_what_is_missing_is_in_a_group() -> None:
    of = block(4, 1)
    missing = [ids(of)[place] for place in (1, 3, 5)]
    (group,) = cell_groups(of, missing)
    assert group == "cells-2-6-of-6"
    assert cells_of(of, group, set(ids(of)) - set(missing)) == missing
    assert cell_groups(of, []) == []


@pytest.mark.parametrize("name", ["cells-1-2-of-3", "cells-1-2", "x", "cells-1-2-of-6; true"])
def test_a_name_of_no_group_of_the_block_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="has no group of cells"):
        cells_of(block(4, 1), name, ())
