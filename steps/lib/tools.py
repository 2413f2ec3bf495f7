"""Where the programs that run on a target come from: the tool box and the reference CNI plugins.

``make setup`` puts both below one directory, ``.tools`` of the checkout unless ``CNIBENCH_TOOLS``
names another. With ``--tools host`` the tool box is ``None`` and the machine's own programs run.
"""

import hashlib
import os
import shutil
from pathlib import Path

from steps.lib.errors import InputError
from steps.lib.models import TargetSpec

REPOSITORY = Path(__file__).parents[2]

TOOLBOX_MANIFEST = "cnibench-toolbox.json"
"""In the tool box's root; lists its packages with their versions, written when it is built."""

HOST_PROGRAMS = {
    "iperf3": "iperf3",
    "netperf": "netperf",
    "netserver": "netperf",
    "ping": "iputils-ping",
}
"""What takes the tool box's place with ``--tools host``, with the Debian package of each."""


def tools_directory() -> Path:
    """Directory that ``make setup`` fills."""
    return Path(os.environ.get("CNIBENCH_TOOLS", REPOSITORY / ".tools"))


def toolbox() -> Path:
    """Root file system in which traffic tools run.

    Raises:
        InputError: it has not been made yet.
    """
    return _existing(tools_directory() / "toolbox", TOOLBOX_MANIFEST)


def toolbox_is_ours() -> bool:
    """Whether the tool box is the root file system that we have, as in the image of the stages."""
    return os.path.realpath(tools_directory() / "toolbox") == "/"


def toolbox_of(spec: TargetSpec) -> Path | None:
    """Root file system of a target's tools; None for the machine's own.

    Raises:
        InputError: it has not been made yet.
    """
    return toolbox() if spec.tools == "box" else None


def cni_plugins() -> Path:
    """Directory of the compiled reference CNI plugins.

    Raises:
        InputError: they have not been made yet.
    """
    return _existing(tools_directory() / "cni-plugins", "loopback")


def toolbox_digest(root: Path | None) -> str:
    """sha256 that changes when any tool changes; None means the machine's own programs.

    Raises:
        InputError: the tool box is incomplete.
    """
    if root is not None:
        return hashlib.sha256(
            (_existing(root, TOOLBOX_MANIFEST) / TOOLBOX_MANIFEST).read_bytes()
        ).hexdigest()
    digest = hashlib.sha256(b"host")
    for program in HOST_PROGRAMS:
        found = shutil.which(program)
        digest.update(f"\0{program}\0".encode())
        digest.update(Path(found).read_bytes() if found else b"")
    return digest.hexdigest()


def _existing(directory: Path, proof: str) -> Path:
    if not (directory / proof).exists():
        raise InputError(f"{directory / proof} does not exist; run `make setup`")
    return directory.resolve()
