"""What runs of a lab, as facts and as a table."""

import sys
import time
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab import api, credentials, management, node
from lab.groups import Groups
from lab.layout import Cluster, Host, Lab
from steps.lib.errors import TransientError
from steps.lib.targets.namespaces import netns

UP, SOMETHING_DOWN, NOTHING_HERE = 0, 1, 3
"""Exit statuses of ``status``."""

WIDTH_OF_FILES = 160
"""Columns, where no person's terminal is written to: no remark is broken into lines."""


@dataclass(frozen=True)
class Piece:
    """One part of a cluster. ``pid`` is None when it does not run."""

    cluster: str
    name: str
    pid: int | None
    since_s: float
    memory_mib: int
    remark: str
    """Of an API server and a node: what the API says."""

    healthy: bool


def pieces(lab: Lab) -> list[Piece]:
    """Everything that should run of the clusters that somebody brought up."""
    return [piece for cluster in lab.wanted() for piece in _pieces(lab, cluster)]


def show(lab: Lab) -> int:
    """Print the table and how to use the lab; the exit status."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    found = pieces(lab)
    if not found:
        console.print(f"nothing of the lab {lab.name!r} is here; bring it up by `make lab-up`")
        return NOTHING_HERE
    console.print(_table(found))
    console.print(f"external client: network namespace {_client(lab)}")
    for cluster in lab.wanted():
        _print_doors(console, lab, cluster)
    console.print(f"export KUBECONFIG={lab.kubeconfig}", soft_wrap=True)
    return UP if all(piece.healthy for piece in found) else SOMETHING_DOWN


def _pieces(lab: Lab, cluster: Cluster) -> list[Piece]:
    complaint = api.complaint(lab, cluster)
    states = {} if complaint else _node_states(lab, cluster)
    remarks = {f"{cluster.name}-apiserver": complaint or "ready"}
    hosts = {host.name: host for host in cluster.nodes}
    remarks |= {name: states.get(name, "not in the cluster") for name in hosts}
    bad = {f"{cluster.name}-apiserver"} if complaint else set()
    bad |= {name for name in hosts if not _is_fine(states.get(name), cluster)}
    for door in cluster.doors:
        found = complaint or management.complaint(lab, cluster, door)
        remarks[cluster.piece_of(door)] = found or f"ready at {lab.url_of(door)}"
        bad |= {cluster.piece_of(door)} if found else set()
    return [
        _piece(lab, cluster, name, hosts.get(name), remarks.get(name, ""), name not in bad)
        for name in cluster.pieces
    ]


def _node_states(lab: Lab, cluster: Cluster) -> dict[str, str]:
    try:
        return api.node_states(lab, cluster)
    except TransientError:
        return {}  # It has just gone; the next look says so.


def _is_fine(state: str | None, cluster: Cluster) -> bool:
    """A node without a plugin is as it should be; one that stopped reporting is not."""
    if state is None:
        return False
    return state == "Ready" or (not cluster.fixed_network and state == api.NO_NETWORK)


def _piece(
    lab: Lab, cluster: Cluster, name: str, host: Host | None, remark: str, healthy: bool
) -> Piece:
    found = [_process(pid) for pid in Groups(lab.group).processes(name)]
    alive = [process for process in found if process is not None]
    if host is not None:
        pid = node.pid(lab, host)
    else:
        pid = min(alive, key=lambda p: p[1])[0] if alive else None
    return Piece(
        cluster=cluster.name,
        name=name,
        pid=pid,
        since_s=time.time() - min((started for _, started, _ in alive), default=time.time()),
        memory_mib=sum(memory for _, _, memory in alive) >> 20,
        remark=remark,
        healthy=healthy and pid is not None,
    )


def _process(pid: int) -> tuple[int, float, int] | None:
    """Its number, its start and its memory, or None if it has just ended."""
    try:
        process = psutil.Process(pid)
        return pid, process.create_time(), process.memory_info().rss
    except psutil.Error:
        return None


def _print_doors(console: Console, lab: Lab, cluster: Cluster) -> None:
    """What a person needs for the store and for Argo. Secrets are not shown but in a file."""
    for door in cluster.doors:
        console.print(f"{door.name}: {lab.url_of(door)}", soft_wrap=True)
    file = credentials.environment_file(lab, cluster)
    if file.exists():
        console.print(f"source {file}  # for argo, and for --store s3://cnibench", soft_wrap=True)


def _client(lab: Lab) -> str:
    name = lab.namespaces["client"]
    return name if netns.is_whole(name) else f"{name} (absent)"


def _table(found: list[Piece]) -> Table:
    table = Table()
    for title in ("cluster", "piece", "pid", "state", "since", "memory", "API"):
        table.add_column(title, justify="right" if title in ("pid", "since", "memory") else "left")
    for piece in found:
        table.add_row(
            piece.cluster,
            piece.name.removeprefix(f"{piece.cluster}-"),
            str(piece.pid or "-"),
            "runs" if piece.pid else "down",
            _span(piece.since_s) if piece.pid else "-",
            f"{piece.memory_mib} MiB" if piece.pid else "-",
            escape(piece.remark),
            style="" if piece.healthy else "red",
        )
    return table


def _span(seconds: float) -> str:
    """``75`` as ``1m15s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
