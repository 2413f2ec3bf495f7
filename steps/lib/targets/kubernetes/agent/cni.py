"""Calls of network plugins that are under way on the node."""

import time
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import places

MARK = b"CNI_COMMAND="
"""Every caller sets it (CNI specification 1.1.0, section 2, "Parameters")."""

POLL_S = 0.2


def await_cni_calls(timeout_s: float) -> list[str]:
    """Wait until no network plugin is being called; the programs that were, maybe none.

    A plugin whose daemon is gone may go on trying for a long time, and write at last what has just
    been cleaned up: Cilium's notes a deletion for an agent that never comes back.

    Raises:
        RefusedError: some are still there when the time is over.
    """
    seen: set[str] = set()
    deadline = time.monotonic() + timeout_s
    while running := _calls():
        seen |= running
        if time.monotonic() > deadline:
            names = ", ".join(sorted(running))
            raise RefusedError(f"still called after {timeout_s:g} s: {names}")
        time.sleep(POLL_S)
    return sorted(seen)


def _calls() -> set[str]:
    return {name for pid in places.all_processes() if (name := _called(pid)) is not None}


def _called(pid: int) -> str | None:
    """Name of the program, if the process is one that a container runtime calls as a plugin."""
    process = Path(f"/proc/{pid}")
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
        if not any(variable.startswith(MARK) for variable in variables):
            return None
        return (process / "comm").read_text().strip()
    except OSError:
        return None  # It ended.
