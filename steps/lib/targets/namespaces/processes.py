"""Traffic tools: started in a namespace, tool box and control group, and ended for sure."""

import fcntl
import os
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.cgroups import Groups
from steps.lib.targets.namespaces.programs import DIE_WITH_PARENT, ENVIRONMENT

TERMINATION_S = 1.0
PIPE_BYTES = 1 << 20
"""Room for a whole document: a server that nobody reads from must not block at its end."""

STDERR_BYTES_MAX = 1 << 16

JOIN_GROUP = ("sh", "-c", 'echo 0 >"$0" && exec "$@"')
"""Joins the group before the tool is executed, so that none of its CPU is missed."""


class Running:
    """A started tool (``protocol.Process``)."""

    def __init__(
        self, process: subprocess.Popen[bytes], command: tuple[str, ...], stderr: IO[bytes]
    ) -> None:
        assert process.stdout is not None, "started with a pipe"
        self._process, self._stdout, self._stderr = process, process.stdout, stderr
        self.command = command
        # Not closed by ``stop``: another thread may be reading the last lines just then.
        weakref.finalize(self, process.stdout.close)
        weakref.finalize(self, stderr.close)

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, line by line as it comes."""
        return self._stdout

    @property
    def pid(self) -> int | None:
        """Its process, also one that ended; None once somebody has waited for it."""
        return None if self._process.returncode is not None else self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        self._process.send_signal(number)

    def stop(self, timeout_s: float) -> tuple[int, bytes]:
        """Wait, then SIGTERM, then SIGKILL; can be called from any thread, and again."""
        for limit_s, number in ((timeout_s, signal.SIGTERM), (TERMINATION_S, signal.SIGKILL)):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(limit_s)
                break
            self._process.send_signal(number)
        try:
            exit_code = self._process.wait(TERMINATION_S)
        except subprocess.TimeoutExpired as error:
            raise CnibenchError(f"{self.command[0]} does not die, even by SIGKILL") from error
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # Children that it left behind.
        return exit_code, os.pread(self._stderr.fileno(), STDERR_BYTES_MAX, 0)


def start(
    namespace: str, toolbox: Path | None, groups: Groups, group: str, command: Sequence[str]
) -> Running:
    """Start a tool. It dies with the thread that called this, so call it from a lasting one."""
    joining = (*JOIN_GROUP, str(groups.entry(group)))
    return _start((*joining, *_entering(toolbox, f"--net={netns.path(namespace)}")), command)


def start_here(toolbox: Path | None, command: Sequence[str]) -> Running:
    """Start a tool in our own network and control group, as ``start`` does elsewhere.

    That needs no right where the tool box is the root file system that we have, as in the pod of a
    stage, or is none.
    """
    here = toolbox is None or toolbox == Path("/")
    return _start(() if here else _entering(toolbox), command)


def _entering(toolbox: Path | None, *options: str) -> tuple[str, ...]:
    # ``--wd`` too: nsenter would else stay in our directory, outside of the new root.
    root = (f"--root={toolbox}", f"--wd={toolbox}") if toolbox else ()
    return ("nsenter", *options, *root, "--")


def _start(entering: Sequence[str], command: Sequence[str]) -> Running:
    wrapped = [*DIE_WITH_PARENT, *entering, *command]
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the object that reads it)
    process = subprocess.Popen(
        wrapped,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    running = Running(process, tuple(command), stderr)
    fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return running
