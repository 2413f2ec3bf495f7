"""Source matrices in short: the same cells, and all of them are asked for."""

import pytest

from benchmarks.sources import SOURCES, job
from steps.lib.catalog import Catalog
from steps.lib.plan import make_plan


@pytest.mark.parametrize("source", SOURCES)
def test_the_short_matrix_has_every_cell_of_the_source(source: str) -> None:
    short, whole = job(source, 3, 2), Catalog().matrices.load(source)
    assert [cell.id for cell in short.matrix.cells] == [cell.id for cell in whole.cells]
    assert {cell.cell.traffic.duration_s for _, cell in make_plan(short)} == {3}
