"""Memory of pods, from the processes that are in their control groups."""

from collections.abc import Sequence
from pathlib import Path

from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.kubernetes.agent.readings import plain_uid, pod_of


def memory_bytes(pods: Sequence[str]) -> int:
    """Memory of all processes of some pods, given by their uids; shared pages are shared out.

    It is the proportional set size (Pss) of the kernel's ``smaps_rollup``, summed. The files are
    read by this process: a program for each one took over 20 s on a slow node.
    """
    wanted = {plain_uid(pod) for pod in pods}
    return sum(_of_process(Path(f"/proc/{pid}"), wanted) for pid in places.all_processes())


def _of_process(process: Path, pods: set[str]) -> int:
    try:
        if pod_of((process / "cgroup").read_text()) not in pods:
            return 0
        text = (process / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # It ended.
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
