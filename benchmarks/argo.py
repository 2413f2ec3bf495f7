"""Seconds of pipeline per cell when Argo runs it, from Argo's own node times, and where they go.

Needs a lab that is up, and what `make lab-status` says to read into the shell. One campaign of one
plugin and one block is run; what the campaign's own pods take is shared by all of its blocks, so
only the block's workflow is counted. For the time of the run the lab's catalog has a matrix of the
same cells of ``--seconds`` each: what is beside the traffic does not depend on how long that lasts.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from benchmarks.report import Figure, finish, options
from lab.layout import Lab, select
from lab.programs import program
from steps.lib.catalog import Catalog
from steps.lib.cell_groups import GROUPS_MAX
from steps.lib.models import Matrix
from steps.lib.plan import run_time_s

AIM_CELL_S = 3.0
AIM_OBJECT_KB = 500.0
MANY_CELLS = 2000
"""Of one block, or of as many blocks as have so many; nobody waits for them: an extrapolation."""
WAIT_S = 3600
MATRICES = "cnibench-catalog-matrices"


def main() -> None:
    """Run a campaign and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--plugin", default="host-network")
    parser.add_argument("--matrix", default="standard")
    parser.add_argument("--seconds", type=int, default=1, help="of each cell; 0: as the matrix has")
    parser.add_argument("--name", default="lab", help="of the lab")
    arguments = parser.parse_args()
    matrix = shortened(Catalog().matrices.load(arguments.matrix), arguments.seconds)
    with in_catalog(Lab(arguments.name), matrix):
        campaign, block = run(arguments.plugin, matrix.name)
    found = figures(block, matrix)
    finish("argo", [*found, *sizes(campaign, block)], arguments.json)


def shortened(matrix: Matrix, seconds: int) -> Matrix:
    """The same cells, each of so many seconds, with a second of warm-up where it has any.

    Its name is its own: who ends this in the middle leaves nothing that passes for the other.
    """
    if not seconds:
        return matrix
    document = matrix.model_dump(mode="json") | {"name": f"{matrix.name}-{seconds}s"}
    for traffic in (*document["traffic"], document["reference"]):
        if traffic:
            traffic |= {"duration_s": seconds, "omit_s": min(1, traffic["omit_s"])}
    return Matrix.model_validate(document)


@contextmanager
def in_catalog(lab: Lab, matrix: Matrix) -> Iterator[None]:
    """Have the lab's catalog hold this matrix, and its form offer it, unless they do anyway."""
    if matrix.name in Catalog().matrices.names:
        yield
        return
    file, place = f"{matrix.name}.yaml", ("workflowtemplate", "cnibench-plugin")
    form = json.loads(kubectl(lab, "get", *place, "-o", "json"))["spec"]["arguments"]["parameters"]
    (index,) = (i for i, field in enumerate(form) if field["name"] == "matrix")
    offered = [name for name in form[index]["enum"] if name != matrix.name]

    def offer(names: list[str], text: str | None) -> None:
        body = {"op": "replace", "path": f"/spec/arguments/parameters/{index}/enum", "value": names}
        kubectl(lab, "patch", *place, "--type=json", f"--patch={json.dumps([body])}")
        data = json.dumps({"data": {file: text}})
        kubectl(lab, "patch", "configmap", MATRICES, "--type=merge", f"--patch={data}")

    offer([*offered, matrix.name], matrix.model_dump_json())
    try:
        yield
    finally:
        offer(offered, None)


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


def figures(block: dict[str, Any], matrix: Matrix) -> list[Figure]:
    """What the block's time consists of, by cell."""
    nodes = block["status"]["nodes"].values()
    in_pods = sum(seconds(pod) for pod in nodes if pod["type"] == "Pod")
    in_cells = sum(seconds(pod) for pod in pods_of(block, "run-cells"))
    cells = cells_of(block)
    traffic = traffic_s(matrix, cells)
    parts = {
        f"pipeline per cell, {cells} cells of {matrix.name}": seconds(block["status"]) - traffic,
        "  of it between pods": seconds(block["status"]) - in_pods,
        "  of it in pods of other stages": in_pods - in_cells,
        "  of it in pods of cells, beside traffic": in_cells - traffic,
    }
    return [Figure(name, value / cells, "s", AIM_CELL_S) for name, value in parts.items()]


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


def traffic_s(matrix: Matrix, cells: int) -> float:
    """Seconds of traffic of so many cells; a plugin may have fewer paths than the matrix."""
    references = [run_time_s(matrix.reference)] * 2 if matrix.reference else []
    mean_s = sum(run_time_s(cell.traffic) for cell in matrix.cells) / len(matrix.cells)
    return sum(references) + (cells - len(references)) * mean_s


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
    return output([str(program("argo")), *words])


def kubectl(lab: Lab, *words: str) -> str:
    """What the command prints, on the lab's management cluster, in Argo's namespace."""
    (mgmt,) = select("mgmt")
    options = [f"--kubeconfig={lab.kubeconfig}", f"--context={lab.context(mgmt)}"]
    return output([str(program("kubectl")), *options, "--namespace=argo", *words])


def output(command: list[str]) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
