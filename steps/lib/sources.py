"""Fetching what a plugin is installed from, and the mirror that keeps it, named by its digest.

Nothing of others is copied into this repository: a plugin names a URL, ``sources.lock.yaml`` the
sha256 of what lies there. The mirror is a folder of such files (and folders, of charts) under
their digests: what is in it is never fetched again, so a copied mirror serves without a network.

``python -m steps.lib.sources add PATH...`` adds to it and writes ``<digest>  <place>`` of each.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any

from steps.lib import tools
from steps.lib.catalog import Job, origins
from steps.lib.errors import InputError, RefusedError, TransientError
from steps.lib.models import Origin

SIZE_BYTES_MAX = 512 * 1024 * 1024
TIMEOUT_S = 30.0
DEADLINE_S = 600.0
CHUNK_BYTES = 1 << 20


def mirror() -> Path:
    """The mirror's folder, which need not exist yet."""
    return Path(os.environ.get("CNIBENCH_MIRROR", tools.REPOSITORY / ".tools" / "mirror"))


def fetch(origin: Origin, *, allow_unlocked: bool = False) -> Path:
    """Where the file or folder lies in the mirror, after fetching it if it was not there.

    Raises:
        InputError: it has no digest and that is not allowed, or it does not exist.
        RefusedError: it is not what the lock file says.
        TransientError: the server does not answer.
    """
    if origin.digest is None and not allow_unlocked:
        raise InputError(
            f"{origin.key} has no digest in sources.lock.yaml: what would be installed could "
            "change any day; run `cnibench catalog lock`, or allow it with --allow-unlocked"
        )
    if origin.digest is not None:
        place = _place(origin.digest)
        if place.exists():
            _refuse_other(origin, digest_of(place), f"{place}: delete it, to fetch it again")
            return place
    return download(origin)


def download(origin: Origin) -> Path:
    """Fetch into the mirror, whatever is there already.

    Raises:
        InputError: there is no such file, or it is too large, or the archive does not hold it.
        RefusedError: it is not what the lock file says.
        TransientError: the server does not answer.
    """
    mirror().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=mirror(), prefix=".fetching-") as folder:
        fetched = Path(folder) / "fetched"
        _download(str(origin.url), fetched)
        if origin.path is not None:
            fetched = _taken_out(fetched, origin, Path(folder) / "taken-out")
        found = digest_of(fetched)
        _refuse_other(
            origin, found, f"{origin.url}: compare it with what was there before, and if the "
            "change is wanted run `cnibench catalog lock`"
        )  # fmt: skip
        return _put(fetched, found)


def add_to_mirror(path: Path) -> str:
    """Copy a file or folder into the mirror; its digest."""
    mirror().mkdir(parents=True, exist_ok=True)
    found = digest_of(path)
    with tempfile.TemporaryDirectory(dir=mirror(), prefix=".adding-") as folder:
        copy = Path(folder) / "copy"
        if path.is_dir():
            for file in _files(path):
                target = copy / file.relative_to(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        else:
            shutil.copyfile(path, copy)
        _put(copy, found)
    return found


def digest_of(path: Path) -> str:
    """``sha256:<hex>`` of a file's bytes, or of a folder's sorted list of files with theirs.

    Raises:
        InputError: there is nothing to digest.
    """
    if path.is_file():
        return f"sha256:{_sha256(path)}"
    lines = sorted(f"{_sha256(f)}  {f.relative_to(path).as_posix()}\n" for f in _files(path))
    if not lines:
        raise InputError(f"{path}: no such file, or a folder without files")
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def require_locked(job: Job) -> None:
    """Refuse to install what has no digest on record.

    Raises:
        InputError: something has none.
    """
    missing = unlocked(job)
    if missing:
        raise InputError(
            "these sources have no digest in sources.lock.yaml, so what is installed could change "
            "any day:\n  " + "\n  ".join(missing) + "\nrun `cnibench catalog lock`, or allow it "
            "with --allow-unlocked"
        )


def unlocked(job: Job) -> list[str]:
    """``<plugin>: <url>`` of everything a job would install without knowing its digest."""
    return [
        f"{plugin.name}: {origin.key}"
        for plugin in job.plugins
        for origin in origins(plugin)
        if origin.digest is None
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m steps.lib.sources")
    verbs = parser.add_subparsers(required=True)
    add = verbs.add_parser("add", help="copy files or folders into the mirror")
    add.add_argument("paths", nargs="+", type=Path)
    for path in parser.parse_args(arguments).paths:
        digest = add_to_mirror(path)
        sys.stdout.write(f"{digest}  {_place(digest)}\n")
    return 0


def _refuse_other(origin: Origin, found: str, cure: str) -> None:
    if origin.digest not in (None, found):
        raise RefusedError(
            f"{origin.key} was changed: sources.lock.yaml says {origin.digest}, found is {found}; "
            f"{cure}"
        )


def _place(digest: str) -> Path:
    return mirror() / digest.removeprefix("sha256:")


def _put(made: Path, digest: str) -> Path:
    """Move into place at once; whoever was first wins, since both hold the same."""
    place = _place(digest)
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise
    return place


def _files(folder: Path) -> Iterator[Path]:
    """Ordinary files only: Go module archives leave symbolic links out, others do not."""
    return (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, to: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "cnibench"})
    opener = urllib.request.build_opener(_HttpsOnly)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer, to.open("wb") as file:
            _copy(answer, file, url)
    except urllib.error.HTTPError as error:
        kind = InputError if error.code in (401, 403, 404, 410) else TransientError
        raise kind(f"{url} cannot be fetched: HTTP status {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise TransientError(
            f"{url} cannot be fetched ({reason}); without a network put it into the mirror, "
            f"{mirror()}, with `python -m steps.lib.sources add`"
        ) from error


def _copy(answer: Any, file: IO[bytes], url: str) -> None:
    """Copy with limits on size and on the whole time, which the socket's timeout is not."""
    size, until = 0, time.monotonic() + DEADLINE_S
    while chunk := answer.read(CHUNK_BYTES):
        size += len(chunk)
        if size > SIZE_BYTES_MAX:
            raise InputError(f"{url} is larger than {SIZE_BYTES_MAX >> 20} MiB")
        if time.monotonic() > until:
            raise TransientError(f"{url} is not here after {DEADLINE_S:.0f} s")
        file.write(chunk)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        """A redirect to anything but https would give away what the scheme is for."""
        if not str(arguments[-1]).startswith("https://"):
            raise InputError(f"{arguments[0].full_url} redirects to {arguments[-1]}, not to https")
        return super().redirect_request(*arguments)


def _taken_out(archive: Path, origin: Origin, to: Path) -> Path:
    """The file or folder of the archive, below its single top folder."""
    wanted = PurePosixPath(str(origin.path))
    size = 0
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                inside = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if not member.isfile() or not inside.is_relative_to(wanted):
                    continue
                size += member.size
                if ".." in inside.parts or size > SIZE_BYTES_MAX:
                    raise InputError(f"{origin.url} holds {member.name}, which is not taken out")
                target = to / inside.relative_to(wanted)
                target.parent.mkdir(parents=True, exist_ok=True)
                content = opened.extractfile(member)
                assert content is not None, "isfile"
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{origin.url} is no archive that can be read: {error}") from error
    if not to.exists():
        raise InputError(f"{origin.url} does not hold {origin.path}; correct `path`")
    return to


if __name__ == "__main__":
    raise SystemExit(main())
