"""MinIO itself, full and slow: what is stored stays whole, and people are told what to do."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from lab.programs import program
from steps.lib.errors import InputError, TransientError
from steps.lib.store import s3
from steps.lib.store.s3 import S3Settings, S3Store
from tests.lab.labs import wait_until

pytestmark = pytest.mark.lab

KEY = "cnibench-test"
DISK_BYTES = 24 * 2**20
PIECE_BYTES = 2**20
START_TIMEOUT_S = 30.0
IMPATIENT_S = 1.0

ON_A_SMALL_DISK = f'mount -t tmpfs -o size={DISK_BYTES} none "$1" && shift && exec "$@"'


@dataclass(frozen=True)
class Server:
    """MinIO on loopback, with a disk of its own that nobody else sees."""

    process: "subprocess.Popen[bytes]"
    store: S3Store
    disk: Path

    def enlarge(self) -> None:
        """Give it a larger disk: what is removed from MinIO is on its disk for minutes more."""
        within = ["nsenter", "--mount", f"--target={self.process.pid}"]
        remount = ["mount", "-o", f"remount,size={2 * DISK_BYTES}", str(self.disk)]
        subprocess.run([*within, *remount], check=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty bucket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    minio = (str(program("minio")), "server", "--quiet", "--address", address, f"{tmp_path}/data")
    environment = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": KEY, "HOME": str(tmp_path)}
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", str(tmp_path), *minio],
        env=os.environ | environment | {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = S3Store("results", "", S3Settings(f"http://{address}", KEY, KEY, None, "us-east-1"))
        _make_bucket(store)
        yield Server(process, store, tmp_path)
    finally:
        process.kill()
        process.wait()


def _make_bucket(store: S3Store) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            store.client.make_bucket(store.bucket)
            return
        except (MinioException, HTTPError):
            assert time.monotonic() < deadline, "MinIO does not start"
            time.sleep(0.2)


def test_a_full_disk_is_said_and_what_was_stored_is_whole(server: Server) -> None:
    store, stored = server.store, []
    with pytest.raises(InputError, match=r"the server.s disk is full; make room there"):
        for number in range(DISK_BYTES // PIECE_BYTES + 1):
            store.create(f"piece/{number}", os.urandom(PIECE_BYTES))
            stored.append(f"piece/{number}")
    with pytest.raises(InputError, match=r"XMinioStorageFull: the server.s disk is full"):
        for number in range(DISK_BYTES // PIECE_BYTES):
            store.create(f"small/{number}", os.urandom(PIECE_BYTES // 8))
    listed = [found for found in store.objects("piece/") if found.size != PIECE_BYTES]
    assert listed == []
    assert {len(store.read(key)) for key in stored} == {PIECE_BYTES}
    server.enlarge()
    wait_until(lambda: _takes(store, "after"))
    assert store.read("after") == b"room was made"


def _takes(store: S3Store, key: str) -> bool:
    """Whether the server takes an object; it looks at its disk once in a second."""
    try:
        return store.create(key, b"room was made")
    except InputError:
        return False


def test_a_server_that_does_not_answer_in_time_is_asked_again_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", IMPATIENT_S)
    impatient = S3Store("results", "", server.store.settings)
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(TransientError, match="Read timed out"):
            impatient.create("one", b"once")
    finally:
        server.process.send_signal(signal.SIGCONT)
    impatient.create("one", b"once")
    assert server.store.read("one") == b"once"
    assert [found.key for found in server.store.objects("")] == ["one"]
