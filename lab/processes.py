"""Starting the pieces of a lab: detached, in their groups, with a log; and waiting for them."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.groups import Groups
from lab.layout import Lab
from steps.lib.errors import CnibenchError, TransientError
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import ENVIRONMENT

POLL_S = 0.1
JOIN_POLL_S = 0.005
LOG_BYTES_MAX = 1500

JOIN_GROUPS = (
    "sh",
    "-ec",
    'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@"',
    "join",
)
"""Joins the groups named before ``--``, then becomes the command after it."""


def launch(
    lab: Lab,
    piece: str,
    command: Sequence[str],
    namespace: str | None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Start a piece, which lives on when this process ends. It must not be running."""
    entries = [str(entry) for entry in Groups(lab.group).create(piece)]
    entering = ["nsenter", f"--net={netns.path(namespace)}", "--"] if namespace else []
    lab.logs.mkdir(parents=True, exist_ok=True)
    with log_of(lab, piece).open("ab") as log:
        process = subprocess.Popen(
            [*JOIN_GROUPS, *entries, "--", *entering, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT | dict(environment or {}),
            start_new_session=True,
            cwd="/",
        )
    # From here on its groups tell whether it runs, so it must have joined them.
    while process.poll() is None and not runs(lab, piece):
        time.sleep(JOIN_POLL_S)
    # Whoever adopts it after us reaps it; the module would else warn that it still runs.
    process.returncode = process.returncode or 0


def runs(lab: Lab, piece: str) -> bool:
    """Whether a piece has any process."""
    return bool(Groups(lab.group).processes(piece))


def wait_until(
    lab: Lab, pieces: Sequence[str], answer: Callable[[], str | None], what: str, timeout_s: float
) -> None:
    """Wait until ``answer`` has no more complaint about the first piece; all must stay alive.

    Raises:
        CnibenchError: pieces ended; their last words are in the message.
        TransientError: it did not come up in time; the last complaint is in the message.
    """
    log = log_of(lab, pieces[0])
    timeout_s *= lab.patience
    deadline = time.monotonic() + timeout_s
    while (complaint := answer()) is not None:
        if ended := [piece for piece in pieces if not runs(lab, piece)]:
            said = [f"{each} has ended: {last_words(log_of(lab, each))}" for each in ended]
            raise CnibenchError("\n".join(said))
        if time.monotonic() > deadline:
            raise TransientError(
                f"{what} did not happen within {timeout_s:g} s: {complaint}; see {log}: "
                f"{last_words(log)}"
            )
        time.sleep(POLL_S)


def log_of(lab: Lab, piece: str) -> Path:
    """File with all that a piece printed."""
    return lab.logs / f"{piece}.log"


def last_words(log: Path) -> str:
    """End of a log."""
    if not log.exists():
        return f"{log} does not exist"
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_BYTES_MAX))
        return stream.read().decode("utf-8", "replace").strip() or "it printed nothing"
