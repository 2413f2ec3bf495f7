import json

import pytest

from steps.lib.cell_groups import GROUPS_MAX, cell_groups, cells_of
from steps.lib.errors import InputError
from steps.lib.plan import Block, make_plan
from steps.lib.stage import retries_of
from steps.run_cells import run_cells
from tests.argo import Document, parameters, rendered, templates
from tests.jobs import TCP, job, matrix

OBJECT_BYTES_MAX = 500_000
"""Of a Workflow: etcd takes 1.5 MB, and Argo's UI becomes slow long before."""


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


def node(of: Block, group: str, number: int) -> Document:
    """What Argo keeps of one try of a group, in its words; of values that it makes, long ones."""
    template = templates(rendered("block.yaml"))["run-cells"]
    given = {"campaign": "c" * 40, "block": of.id, "store": "s3://bucket/name", "group": group}
    given["target"] = of.job.campaign.target.model_dump_json()
    assert given.keys() == parameters(template, "inputs").keys()
    put_out = [p | {"value": "v" * 200} for p in parameters(template, "outputs").values()]
    name = "cnibench-campaign-x7k2p-r4vl9"
    at, logs = "2026-11-28T00:00:00Z", {"name": "main-logs", "s3": {"key": f"{name}/{name}" * 2}}
    return {
        "id": f"{name}-{number:010}",
        "name": f"{name}.run-cells({number}:{group})({number})",
        "displayName": group,
        "type": "Pod",
        "templateName": "run-cells",
        "templateScope": f"local/{name}",
        "phase": "Failed",
        "message": "m" * 300,
        "boundaryID": f"{name}-{number:010}",
        "startedAt": at,
        "finishedAt": at,
        "progress": "100/100",
        "resourcesDuration": {"cpu": 10**6, "memory": 10**6},
        "nodeFlag": {"retried": True},
        "inputs": {"parameters": [{"name": n, "value": v} for n, v in given.items()]},
        "outputs": {"parameters": put_out, "artifacts": [logs], "exitCode": "75"},
        "children": [f"{name}-{number:010}"],
        "hostNodeName": "node.of.some.length.example",
    }


def test_argo_keeps_a_block_of_very_many_cells_in_a_small_object() -> None:
    """Although each group is tried as often as it can be, and the template is kept beside."""
    of = block(2000, 60)
    groups, tries = cell_groups(of, ids(of)), 1 + retries_of(run_cells)
    # One more node stands above all tries of a group.
    nodes = [node(of, group, n) for group in groups for n in range(tries + 1)]
    assert len(json.dumps([rendered("block.yaml"), nodes])) < OBJECT_BYTES_MAX


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
