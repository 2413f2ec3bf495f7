"""Calling ``python -m lab`` as a person does, and looking at what it made."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab import node, status
from lab.groups import Groups
from lab.layout import Cluster, Host, Lab, select

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240.0
WAIT_TIMEOUT_S = 40.0

LIFE = Lab(name="life", port=17443)
"""A lab for tests that kill it; others may be up beside it."""

TARGET: Cluster = select("target")[0]
MGMT: Cluster = select("mgmt")[0]


def command(lab: Lab, *arguments: str) -> list[str]:
    options = ["--name", lab.name, "--port", str(lab.port)]
    return [sys.executable, "-m", "lab", *options, *arguments]


def call(lab: Lab, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """How a verb ended, whatever that was."""
    return subprocess.run(
        ["env", *(f"{k}={v}" for k, v in environment.items()), *command(lab, *arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def run(lab: Lab, *arguments: str) -> str:
    """What a verb printed, which must succeed."""
    done = call(lab, *arguments)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def pids(lab: Lab) -> dict[str, int | None]:
    """The process of each piece."""
    return {piece.name: piece.pid for piece in status.pieces(lab)}


def processes(lab: Lab) -> set[int]:
    """All processes of a lab."""
    return Groups(lab.group).processes()


def inside(lab: Lab, host: Host) -> Path:
    """A node's root file system, as its processes see it."""
    pid = node.init_pid(lab, host)
    assert pid is not None, f"{host.name} does not run"
    return Path(f"/proc/{pid}/root")


def wait_until(answer: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not answer():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
