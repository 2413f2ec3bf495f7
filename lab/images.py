"""Images: unpacked once into a folder of the cache, which every node begins with a copy of.

The copy is made of hard links, since neither archives nor unpacked layers are ever written to
again; so a node costs neither a second nor disk, and the nodes share the page cache. Only the
databases are copied.
"""

import hashlib
import shutil
from pathlib import Path

from lab import programs
from lab.layout import DATA, cache
from lab.lock import exclusively
from lab.progress import say
from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces.programs import output, run

LOCK = "cnibench images"
UNPACK_TIMEOUT_S = 600.0
COPY_TIMEOUT_S = 120.0
IN_NODE = ("nsenter", "--mount", "--root", "--wd", "--target")
CTR = ("/usr/local/bin/ctr", "--namespace", "k8s.io", "images")


def prepare() -> None:
    """Unpack the images if they are new."""
    with exclusively(LOCK):
        _unpacked()


def lay_down(folder: Path) -> None:
    """Fill a node's empty folder of containerd with all images."""
    with exclusively(LOCK):
        source = _unpacked()
        _succeed(["cp", "--archive", "--link", f"{source}/.", str(folder)], COPY_TIMEOUT_S)
    for database in folder.rglob("*.db"):
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.rename(database)


def complete(init_pid: int) -> None:
    """Import into a running node what its containerd lacks."""
    entering = [*IN_NODE, str(init_pid), "--"]
    present = set(output([*entering, *CTR, "list", "--quiet"]).split())
    absent = {file for name, file in programs.images().items() if name not in present}
    for archive in sorted(absent):
        # The archive is out of the node's sight, so it comes by standard input.
        script = 'archive=$1; shift; exec "$@" <"$archive"'
        command = [*entering, *CTR, "import", "--local", "-"]
        _succeed(["sh", "-c", script, "import", str(archive), *command], UNPACK_TIMEOUT_S)


def _unpacked() -> Path:
    images = programs.images()
    entry = cache() / "lab-images" / _digest(images)
    if not entry.is_dir():
        say(f"unpacking {len(images)} images, once")
        if entry.parent.exists():
            _succeed(["rm", "--recursive", "--force", str(entry.parent)], COPY_TIMEOUT_S)
        fresh = entry.with_suffix(".new")
        (fresh / "state").mkdir(parents=True)
        _unpack(fresh, images)
        (fresh / "data").rename(entry)
        shutil.rmtree(fresh)
    return entry


def _unpack(folder: Path, images: dict[str, Path]) -> None:
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    tools = [str(programs.program(name)) for name in ("containerd", "ctr")]
    configuration = str(DATA / "containerd-import.toml")
    archives = sorted({str(file) for file in images.values()})
    script = str(DATA / "unpack-images.sh")
    _succeed([*isolated, script, str(folder), *tools, configuration, *archives], UNPACK_TIMEOUT_S)


def _succeed(command: list[str], timeout_s: float) -> None:
    result = run(command, timeout_s=timeout_s)
    if result.exit_code != 0:
        said = result.stderr.decode("utf-8", "replace").strip()[-500:]
        raise CnibenchError(f"`{command[0]} ...` ended with {result.exit_code}: {said}")


def _digest(images: dict[str, Path]) -> str:
    """Changes with any image; archives are never written to in place."""
    digest = hashlib.sha256()
    for reference, file in sorted(images.items()):
        status = file.stat()
        digest.update(f"{reference} {file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
