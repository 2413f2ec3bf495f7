"""A store in a directory: places that cannot hold one, full disks, killed writers."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steps.lib.errors import InputError
from steps.lib.store import open_store
from steps.lib.store.directory import LEFTOVER_AGE_S
from steps.lib.store.keys import MARKER
from tests.store_rows import measurement, put_measurement

ROOT = Path(__file__).parents[1]

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)


def test_places_that_cannot_hold_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, complaint in (
        ("file", "is a file"),
        ("file/below", "does not exist or is no directory"),
        ("none/below", "does not exist"),
    ):
        for create in (True, False):
            with pytest.raises(InputError, match=complaint):
                open_store(str(tmp_path / place), create=create)


def test_a_place_of_the_kernel_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"/proc/cnibench-results: cannot open: .*see the message"):
        open_store("/proc/cnibench-results")


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "results"))
    (tmp_path / "results" / "measurements").write_text("x")
    with pytest.raises(InputError, match="part of the path is a file"):
        store.create("measurements/campaign=demo/x", b"x")


def test_leftovers_of_killed_writers_are_swept_when_they_are_old(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "results"))
    store.create("raw/x", b"x")
    incoming = tmp_path / "results" / ".incoming"
    for name in ("old", "new"):
        (incoming / name).write_bytes(b"half")
    past = time.time() - LEFTOVER_AGE_S - 60
    os.utime(incoming / "old", (past, past))
    assert [found.key for found in store.objects("")] == [MARKER, "raw/x"]
    open_store(str(tmp_path / "results"))
    assert [path.name for path in incoming.iterdir()] == ["new"]


KILLED_WRITERS = """
import hashlib, os, random, sys, time
from pathlib import Path
from steps.lib.store.directory import DirectoryStore

store = DirectoryStore(Path(sys.argv[1]))
dice = random.Random(7)
for round in range(60):
    writer = os.fork()
    if writer == 0:
        for number in range(10_000):
            content = os.urandom(dice.randrange(1, 300_000))
            store.create(f"raw/{round}-{number}.{hashlib.sha256(content).hexdigest()}", content)
    time.sleep(dice.uniform(0.0, 0.04))
    os.kill(writer, 9)
    os.waitpid(writer, 0)
"""


def test_writers_that_are_killed_leave_no_part_of_an_object(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "results"))
    subprocess.run(
        [sys.executable, "-c", KILLED_WRITERS, store.address], check=True, cwd=ROOT, timeout=60
    )
    found = store.objects("raw/")
    assert found, "no writer got far enough to prove anything"
    for each in found:
        content = store.read(each.key)
        assert hashlib.sha256(content).hexdigest() == each.key.rpartition(".")[2]


def in_mount_namespace(script: str) -> str:
    """Output of a shell script whose mounts nobody else sees."""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


COMPLAINS = """
import sys
from steps.lib.errors import InputError
from steps.lib.store import open_store
from steps.lib.database import open_database, sql
try:
    store = open_store(sys.argv[1])
    for number in range(1000):
        store.create(f"raw/{number}", b"x" * 50_000)
except InputError as error:
    print(error)
store = open_store(sys.argv[1], create=False)
print("whole:", {len(store.read(o.key)) for o in store.objects("raw/")})
print(sql(open_database(store), "select cell from measurements"))
"""


@needs_mounts
def test_a_read_only_store_is_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "results"
    put_measurement(open_store(str(root)), measurement("one"))
    said = in_mount_namespace(
        f"mount --bind '{root}' '{root}'; mount -o remount,bind,ro '{root}'; "
        f"'{sys.executable}' -c '{COMPLAINS}' '{root}'"
    )
    assert "cannot create raw/0: Read-only file system: the file system is read-only" in said
    assert "(['cell'], [('one',)])" in said
    assert not (root / ".cache").exists()


@needs_mounts
def test_a_full_disk_leaves_whole_objects(tmp_path: Path) -> None:
    said = in_mount_namespace(
        f"mount -t tmpfs -o size=1m none '{tmp_path}'; "
        f"'{sys.executable}' -c '{COMPLAINS}' '{tmp_path}/results'"
    )
    assert "No space left on device: the disk is full; make room" in said
    assert "whole: {50000}" in said
