"""Images: unpacked once into a folder of the cache, which every node begins with a copy of.

The copy is made of hard links, since neither archives nor unpacked layers are ever written to
again; so a node costs neither a second nor disk, and the nodes share the page cache. Only the
databases are copied. When an image has changed, the folder begins as such a copy, too, of the one
before.
"""

import hashlib
import json
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
KEPT = 2
"""Entries that stay when another one is made. Most of their files they have in common."""

IN_NODE = ("nsenter", "--mount", "--root", "--wd", "--target")
CTR = ("/usr/local/bin/ctr", "--namespace", "k8s.io", "images")


def prepare() -> Path:
    """Unpack the images if they are new; where they are."""
    with exclusively(LOCK):
        return _unpacked()


def lay_down(folder: Path) -> None:
    """Fill a node's empty folder of containerd with all images."""
    with exclusively(LOCK):
        _copy(_unpacked(), folder)


def complete(init_pid: int) -> None:
    """Import into a running node what its containerd lacks."""
    entering = [*IN_NODE, str(init_pid), "--"]
    present = set(output([*entering, *CTR, "list", "--quiet"]).split())
    absent = {file for name, file in programs.images().items() if name not in present}
    for archive in sorted(absent):
        # The archive is out of the node's sight, so it comes by standard input.
        script = 'archive=$1; shift; exec "$@" <"$archive"'
        command = [*entering, *CTR, "import", "--local", "-"]
        succeed(["sh", "-c", script, "import", str(archive), *command], UNPACK_TIMEOUT_S)


def _unpacked() -> Path:
    images = programs.images()
    wanted = _identities(images)
    entry = cache() / "lab-images" / hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]
    if not entry.is_dir():
        _remove_others(entry.parent)
        fresh = entry.with_suffix(".new")
        _remove(fresh)
        (fresh / "state").mkdir(parents=True)
        present = _begin(fresh / "data", entry.parent)
        changed = [name for name in wanted if wanted[name] != present.get(name)]
        say(f"unpacking {len(changed)} images, once")
        (fresh / "removed").write_text("".join(f"{n}\n" for n in present if n not in wanted))
        _unpack(fresh, {images[name] for name in changed})
        _listing(entry).write_text(json.dumps(wanted))
        (fresh / "data").rename(entry)
        _remove(fresh)
    _listing(entry).touch()
    return entry


def _remove_others(entries: Path) -> None:
    """Make room: a few stay, for clones of this project that take turns. What a kill left goes."""
    listings = sorted(entries.glob("*.json"), key=lambda file: file.stat().st_mtime)
    kept = {file.stem for file in listings[-KEPT:] if file.with_suffix("").is_dir()}
    for other in entries.glob("*"):
        if other.name.removesuffix(".json") not in kept:
            _remove(other)


def _begin(folder: Path, entries: Path) -> dict[str, str]:
    """Begin with what was unpacked last, if anything; the images that are in it."""
    folder.mkdir()
    listings = sorted(entries.glob("*.json"), key=lambda file: file.stat().st_mtime)
    if not listings:
        return {}
    _copy(listings[-1].with_suffix(""), folder)
    found: dict[str, str] = json.loads(listings[-1].read_text())
    return found


def _listing(entry: Path) -> Path:
    """File beside an entry that says which images are in it, and when it was last of use."""
    return entry.with_suffix(".json")


def _copy(source: Path, folder: Path) -> None:
    """Fill an empty folder of containerd with what is in another."""
    succeed(["cp", "--archive", "--link", f"{source}/.", str(folder)], COPY_TIMEOUT_S)
    for database in folder.rglob("*.db"):
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.rename(database)


def _remove(place: Path) -> None:
    succeed(["rm", "--recursive", "--force", str(place)], COPY_TIMEOUT_S)


def _unpack(folder: Path, archives: set[Path]) -> None:
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    tools = [str(programs.program(name)) for name in ("containerd", "ctr")]
    command = [*isolated, str(DATA / "unpack-images.sh"), str(folder), *tools]
    command.append(str(DATA / "containerd-import.toml"))
    succeed([*command, *sorted(map(str, archives))], UNPACK_TIMEOUT_S)


def succeed(command: list[str], timeout_s: float) -> None:
    """Run a program.

    Raises:
        CnibenchError: it failed; its last words are in the message.
    """
    result = run(command, timeout_s=timeout_s)
    if result.exit_code != 0:
        said = result.stderr.decode("utf-8", "replace").strip()[-500:]
        raise CnibenchError(f"`{command[0]} ...` ended with {result.exit_code}: {said}")


def _identities(images: dict[str, Path]) -> dict[str, str]:
    """What changes with each image; archives are never written to in place."""
    found = {}
    for reference, file in sorted(images.items()):
        status = file.stat()
        found[reference] = f"{file} {status.st_size} {status.st_mtime_ns}"
    return found
