"""Seconds of pipeline per cell when Argo runs it, from Argo's own node times, and where they go.

Needs a lab that is up, and what `make lab-status` says to read into the shell. One campaign of one
plugin and one block is run; what the campaign's own pods take is shared by all of its blocks, so
only the block's workflow is counted.
"""

import json
import subprocess
import sys
from datetime import datetime
from typing import Any

from benchmarks.report import Figure, finish, options
from lab.programs import program
from steps.lib.catalog import Catalog
from steps.lib.plan import run_time_s

AIM_CELL_S = 3.0
AIM_OBJECT_KB = 500.0
WAIT_S = 3600


def main() -> None:
    """Run a campaign and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--plugin", default="host-network")
    parser.add_argument("--matrix", default="lab")
    arguments = parser.parse_args()
    block = run(arguments.plugin, arguments.matrix)
    finish("argo", figures(block, arguments.matrix), arguments.json)


def run(plugin: str, matrix: str) -> dict[str, Any]:
    """The workflow of the only block of a campaign, after its end."""
    chosen = {"plugin": plugin, "matrix": matrix, "repeats": "1"}
    words = [word for name, value in chosen.items() for word in ("-p", f"{name}={value}")]
    name = argo("submit", "--from", "workflowtemplate/cnibench-plugin", "-o", "name", *words)
    argo("wait", name.strip())
    listed = json.loads(argo("list", "-o", "json"))
    (block,) = (w for w in listed if name.strip() in owners(w))
    found: dict[str, Any] = json.loads(argo("get", block["metadata"]["name"], "-o", "json"))
    if found["status"]["phase"] != "Succeeded":
        sys.exit(f"the block did not succeed: argo get {found['metadata']['name']}")
    return found


def figures(block: dict[str, Any], matrix: str) -> list[Figure]:
    """What the block's time consists of, by cell."""
    pods = sorted(
        (n for n in block["status"]["nodes"].values() if n["type"] == "Pod"),
        key=lambda n: str(n["startedAt"]),
    )
    in_pods = sum(seconds(pod) for pod in pods)
    in_cells = sum(seconds(pod) for pod in pods if pod["templateName"] == "run-cells")
    cells = sum(int(pod["progress"].partition("/")[2]) for pod in pods_of_cells(pods))
    traffic = traffic_s(matrix, cells)
    parts = {
        "pipeline per cell": seconds(block["status"]) - traffic,
        "  of it between pods": seconds(block["status"]) - in_pods,
        "  of it in pods of other stages": in_pods - in_cells,
        "  of it in pods of cells, beside traffic": in_cells - traffic,
    }
    size = len(json.dumps(block)) / 1000
    return [
        *(Figure(name, value / cells, "s", AIM_CELL_S) for name, value in parts.items()),
        Figure(f"object of a block of {cells} cells", size, "kB", AIM_OBJECT_KB),
    ]


def traffic_s(matrix: str, cells: int) -> float:
    """Seconds of traffic of so many cells; a matrix's cells and references differ in length."""
    found = Catalog().matrices.load(matrix)
    times = [run_time_s(cell.traffic) for cell in found.cells]
    references = 2 * run_time_s(found.reference) if found.reference else 0
    measured = cells - (2 if found.reference else 0)
    return references + measured * sum(times) / len(times)


def pods_of_cells(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that ran cells."""
    return [pod for pod in pods if pod["templateName"] == "run-cells"]


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
