"""Seconds of pipeline per cell when Argo runs it, from Argo's own node times, and where they go.

Needs a lab that is up, and what `make lab-status` says to read into the shell. One campaign of one
plugin and one block is run; what the campaign's own pods take is shared by all of its blocks, so
only the block's workflow is counted. Its other stages take the same for any number of cells, so
what a block of the matrix ``--reckoned`` takes follows from the one that was run.
"""

import json
import subprocess
import sys
from datetime import datetime
from typing import Any

from benchmarks.report import Figure, finish, options
from lab.programs import program
from steps.lib.catalog import Catalog
from steps.lib.cell_groups import GROUPS_MAX, group_count
from steps.lib.estimate import cell_time_s
from steps.lib.models import Traffic
from steps.lib.plan import run_time_s

AIM_CELL_S = 3.0
AIM_OBJECT_KB = 500.0
MANY_CELLS = 2000
"""Of one block, or of as many blocks as have so many; nobody waits for them: an extrapolation."""
WAIT_S = 3600


def main() -> None:
    """Run a campaign and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--plugin", default="host-network")
    parser.add_argument("--matrix", default="lab")
    parser.add_argument("--reckoned", default="standard")
    arguments = parser.parse_args()
    campaign, block = run(arguments.plugin, arguments.matrix)
    found = figures(block, arguments.matrix, arguments.reckoned)
    finish("argo", [*found, *sizes(campaign, block)], arguments.json)


def run(plugin: str, matrix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The workflows of a campaign and of its only block, after their end."""
    chosen = {"plugin": plugin, "matrix": matrix, "repeats": "1"}
    words = [word for name, value in chosen.items() for word in ("-p", f"{name}={value}")]
    name = argo("submit", "--from", "workflowtemplate/cnibench-plugin", "-o", "name", *words)
    argo("wait", name.strip())
    listed = json.loads(argo("list", "-o", "json"))
    (block,) = (w for w in listed if name.strip() in owners(w))
    names = (name.strip(), block["metadata"]["name"])
    whole, part = (json.loads(argo("get", name, "-o", "json")) for name in names)
    if part["status"]["phase"] != "Succeeded":
        sys.exit(f"the block did not succeed: argo get {part['metadata']['name']}")
    return whole, part


def figures(block: dict[str, Any], matrix: str, reckoned: str) -> list[Figure]:
    """What the block's time consists of, by cell; and the whole, had it another matrix."""
    pods = sorted(
        (n for n in block["status"]["nodes"].values() if n["type"] == "Pod"),
        key=lambda n: str(n["startedAt"]),
    )
    in_pods = sum(seconds(pod) for pod in pods)
    in_cells = sum(seconds(pod) for pod in pods_of(block, "run-cells"))
    cells = cells_of(block)
    traffic = traffic_s(matrix, cells)
    between = seconds(block["status"]) - in_pods
    parts = {
        f"pipeline per cell, {cells} cells": seconds(block["status"]) - traffic,
        "  of it between pods": between,
        "  of it in pods of other stages": in_pods - in_cells,
        "  of it in pods of cells, beside traffic": in_cells - traffic,
    }
    found = {name: value / cells for name, value in parts.items()}
    others, of_cells = traffic_of(reckoned), len(pods_of(block, "run-cells"))
    # What a pod takes that does next to nothing, and what comes after it.
    idle, gap = min(map(seconds, pods)), between / len(pods)
    more = group_count(sum(map(cell_time_s, others))) - of_cells
    once = in_pods - in_cells + between + of_cells * idle + more * (idle + gap)
    name = f"pipeline per cell, {len(others)} cells of {reckoned}"
    found[name] = once / len(others) + (in_cells - traffic - of_cells * idle) / cells
    return [Figure(name, value, "s", AIM_CELL_S) for name, value in found.items()]


def sizes(campaign: dict[str, Any], block: dict[str, Any]) -> list[Figure]:
    """Of the objects that Argo keeps, as they would be with very many cells."""
    cells = cells_of(block)
    in_one_block = grown_kb(block, "run-cells", GROUPS_MAX)
    in_many_blocks = grown_kb(campaign, "run-block", MANY_CELLS / cells)
    return [
        Figure(f"block of {cells} cells", grown_kb(block, "run-cells"), "kB", AIM_OBJECT_KB),
        Figure(f"block of {MANY_CELLS} cells", in_one_block, "kB", AIM_OBJECT_KB),
        Figure(f"campaign of {MANY_CELLS} cells", in_many_blocks, "kB", AIM_OBJECT_KB),
    ]


def grown_kb(workflow: dict[str, Any], template: str, pods: float | None = None) -> float:
    """Size of a workflow, had it so many pods of a template as large as those that it has.

    A pod that may be tried again has a second node above it.
    """
    nodes = workflow["status"]["nodes"].values()
    found = [node for node in nodes if node.get("templateName") == template]
    present = len(pods_of(workflow, template))
    one = sum(len(json.dumps({node["id"]: node})) for node in found) / present
    more = 0.0 if pods is None else pods - present
    return (len(json.dumps(workflow)) + more * one) / 1000


def cells_of(block: dict[str, Any]) -> int:
    """How many were run, by the progress of their pods."""
    return sum(int(pod["progress"].partition("/")[2]) for pod in pods_of(block, "run-cells"))


def traffic_s(matrix: str, cells: int) -> float:
    """Seconds of traffic of so many cells; a plugin may have fewer paths than the matrix."""
    references, others = references_of(matrix), traffic_of(matrix)[len(references_of(matrix)) :]
    mean_s = sum(map(run_time_s, others)) / len(others)
    return sum(map(run_time_s, references)) + (cells - len(references)) * mean_s


def traffic_of(matrix: str) -> list[Traffic]:
    """That of all cells of a block, references first."""
    cells = Catalog().matrices.load(matrix).cells
    return references_of(matrix) + [cell.traffic for cell in cells]


def references_of(matrix: str) -> list[Traffic]:
    """At the begin and at the end of a block."""
    reference = Catalog().matrices.load(matrix).reference
    return [reference] * 2 if reference else []


def pods_of(workflow: dict[str, Any], template: str) -> list[dict[str, Any]]:
    """Those that ran a template."""
    nodes = workflow["status"]["nodes"].values()
    return [n for n in nodes if n["type"] == "Pod" and n.get("templateName") == template]


def seconds(node: dict[str, Any]) -> float:
    """From its start to its end."""
    ends = (datetime.fromisoformat(node[name]) for name in ("finishedAt", "startedAt"))
    return (next(ends) - next(ends)).total_seconds()


def owners(workflow: dict[str, Any]) -> list[str]:
    """Names of the workflows that started it."""
    return [o["name"] for o in workflow["metadata"].get("ownerReferences", [])]


def argo(*words: str) -> str:
    """What the command prints."""
    command = [str(program("argo")), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
