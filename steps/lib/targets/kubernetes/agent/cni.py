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
    been cleaned up: a deletion that is noted for a daemon that never comes back.

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
    """Name of the program, if the process is one that a container runtime calls as a plugin.

    A daemon that was started by a call has the variable too, for ever, and so has what it starts.
    But its caller has ended, so that it was left to process 1; a runtime never is process 1.
    """
    if not _is_marked(pid):
        return None
    caller = places.parent(pid)
    while _is_marked(caller):
        caller = places.parent(caller)
    if caller == 1:
        return None
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None  # It ended.


def _is_marked(pid: int) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # It ended, or is outside of the node.
    return any(variable.startswith(MARK) for variable in variables)
