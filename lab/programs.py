"""Where the programs and images of the lab are; `lab/setup.sh` puts them there."""

import json
import shutil
from pathlib import Path

from steps.lib import tools
from steps.lib.errors import InputError

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy")
MACHINE = {
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "pivot_root": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
}
"""Programs of the machine, with their Debian packages."""

SETUP = "run `lab/setup.sh`"


def program(name: str) -> Path:
    """A program that the lab compiled, at its real place.

    Raises:
        InputError: it has not been compiled yet.
    """
    file = tools.tools_directory() / "lab/bin" / name
    if not file.exists():
        raise InputError(f"{file} does not exist: {SETUP}")
    return file.resolve()


def runc() -> Path:
    """The machine's program that makes containers.

    Raises:
        InputError: it is not installed.
    """
    found = shutil.which("runc")
    if found is None:
        raise InputError("runc is absent: apt-get install runc")
    return Path(found).resolve()


def node_programs() -> list[Path]:
    """All that a node runs and its root file system does not have."""
    return [*(program(name) for name in NODE), runc()]


def images() -> dict[str, Path]:
    """Archives of images, by their names as containerd stores them, with registry and tag.

    Raises:
        InputError: they have not been made yet.
    """
    folder = tools.tools_directory() / "lab"
    index = folder / "images.json"
    if not index.exists():
        raise InputError(f"{index} does not exist: {SETUP}")
    found = {k: folder / "images" / v for k, v in json.loads(index.read_text()).items()}
    absent = [str(file) for file in found.values() if not file.exists()]
    if absent:
        raise InputError(f"{', '.join(absent)}: named in {index} but absent: {SETUP}")
    return {reference: file.resolve() for reference, file in found.items()}


def image(repository: str) -> str:
    """Whole name of the image that was made for a repository.

    Raises:
        InputError: there is none yet.
    """
    for reference in images():
        if reference.startswith(f"{repository}:"):
            return reference
    raise InputError(f"no image of {repository} was made: {SETUP}")


def argo_manifests() -> Path:
    """Folder with the manifests that Argo publishes. Its name changes with what is in it.

    Raises:
        InputError: they are not here yet.
    """
    folder = tools.tools_directory() / "lab/argo-manifests"
    if not folder.exists():
        raise InputError(f"{folder} does not exist: {SETUP}")
    return folder.resolve()


def missing() -> list[str]:
    """Every program that is absent, each with what to do about it."""
    problems = [
        f"{name} is absent: apt-get install {package}"
        for name, package in MACHINE.items()
        if shutil.which(name) is None
    ]
    folder = tools.tools_directory() / "lab/bin"
    absent = [name for name in (*CONTROL_PLANE, *NODE) if not (folder / name).exists()]
    if absent:
        problems.append(f"{folder} has no {', '.join(absent)}: {SETUP}")
    for look in (tools.toolbox, tools.cni_plugins, images, argo_manifests):
        try:
            look()
        except InputError as error:
            problems.append(str(error))
    return problems
