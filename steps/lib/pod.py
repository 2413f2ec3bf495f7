"""What a stage knows of the pod that it runs in, when Argo runs it."""

import logging
import os
from pathlib import Path

HOLDER = "CNIBENCH_HOLDER"
"""Environment variable that names the workflow: pods of one workflow hold the target together."""

RETRIES = "CNIBENCH_RETRIES"
"""Environment variable that counts how often Argo has tried this pod again, if it may be."""

TERMINATION_LOG = Path("/dev/termination-log")
"""The kubelet takes a container's message from here, and Argo makes it that of the node."""

MESSAGE_BYTES_MAX = 4096


def is_one() -> bool:
    """Whether Argo started this process."""
    return "ARGO_NODE_ID" in os.environ


def configure_logging() -> None:
    """Let a pod's log tell what is done in it; elsewhere the log is the caller's."""
    if is_one():
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


def holder() -> str | None:
    """Who holds the target while this process runs; None outside of Argo."""
    return os.environ.get(HOLDER) if is_one() else None


def retries() -> int | None:
    """How often this pod was tried again; None where it is not."""
    return int(os.environ[RETRIES]) if RETRIES in os.environ else None


def say(message: str) -> None:
    """Say in words why the pod fails: of an exit status alone nobody learns anything."""
    if TERMINATION_LOG.exists():
        TERMINATION_LOG.write_bytes(message.encode()[:MESSAGE_BYTES_MAX])


def show_progress(done: int, total: int) -> None:
    """Show on the node how much of its work is done."""
    file = os.environ.get("ARGO_PROGRESS_FILE")
    if file:
        Path(file).write_text(f"{done}/{total}")
