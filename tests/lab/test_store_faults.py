"""MinIO itself, full and slow: what is stored stays whole, and people are told what to do."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.errors import InputError, TransientError
from steps.lib.store import s3
from steps.lib.store.s3 import S3Store
from tests.lab.labs import wait_until
from tests.lab.minio import DISK_BYTES, PIECE_BYTES, Server, small_minio

pytestmark = pytest.mark.lab

IMPATIENT_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with small_minio(tmp_path) as server:
        yield server


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
