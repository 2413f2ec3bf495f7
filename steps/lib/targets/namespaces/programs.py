"""Running other programs to their end: always with a limit, never outliving this process."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
}
"""All that programs get to see of ours: no locale, proxy or library path may change a result."""

DIE_WITH_PARENT = ("env", "--default-signal=INT", "setpriv", "--pdeathsig", "KILL", "--")
"""Kills a child when the *thread* that started it ends: never start one from a short-lived thread.

It survives ``execve`` of ordinary programs, so ``nsenter`` and ``sh`` in between keep it. A shell
that runs us in its background has us ignore SIGINT; children get its usual meaning back.
"""


@dataclass(frozen=True)
class Result:
    """How a program ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def run(
    command: Sequence[str],
    *,
    namespace: str | None = None,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> Result:
    """Run a program, inside a network namespace if one is named.

    It leads a process group of its own, which is killed at the limit: a grandchild that held the
    pipes open would otherwise keep us waiting for ever.

    Raises:
        CnibenchError: it did not end in time, or could not be started.
    """
    wrapped = [*DIE_WITH_PARENT, *_entering(namespace), *command]
    try:
        process = subprocess.Popen(
            wrapped,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT | dict(environment or {}),
            start_new_session=True,
        )
    except OSError as error:
        raise CnibenchError(f"{wrapped[0]} could not be started: {error}") from error
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise CnibenchError(f"{command[0]} did not end within {timeout_s:g} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Result(process.returncode, stdout, stderr)


def output(command: Sequence[str], *, namespace: str | None = None) -> str:
    """Standard output of a program that must succeed.

    Raises:
        CnibenchError: it failed; its last words are in the message.
    """
    result = run(command, namespace=namespace)
    if result.exit_code != 0:
        said = result.stderr.decode("utf-8", "replace").strip()[-500:]
        raise CnibenchError(f"`{' '.join(command)}` ended with {result.exit_code}: {said}")
    return result.stdout.decode("utf-8", "replace")


def _entering(namespace: str | None) -> tuple[str, ...]:
    return () if namespace is None else ("nsenter", f"--net={netns.path(namespace)}", "--")
