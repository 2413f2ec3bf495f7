"""A MinIO of a test's own, with a small disk; a way to it that can be made slow."""

import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from lab.programs import program
from steps.lib.store.s3 import S3Settings, S3Store

KEY = "cnibench-test"
DISK_BYTES = 24 * 2**20
PIECE_BYTES = 2**20
START_TIMEOUT_S = 30.0
BUCKET = "results"

ON_A_SMALL_DISK = f'mount -t tmpfs -o size={DISK_BYTES} none "$1" && shift && exec "$@"'


@dataclass(frozen=True)
class Server:
    """MinIO with a disk that nobody else sees. Its store is for who is in its network."""

    process: "subprocess.Popen[bytes]"
    place: tuple[str, int]
    store: S3Store
    disk: Path

    def fill(self) -> None:
        """Leave no room on its disk, by a file beside MinIO's own."""
        within = ["nsenter", "--mount", f"--target={self.process.pid}"]
        copy = f"dd if=/dev/zero of={self.disk}/filler bs=64k 2>/dev/null"
        subprocess.run([*within, "sh", "-c", f"{copy}; test -s {self.disk}/filler"], check=True)

    def enlarge(self) -> None:
        """Give it a larger disk: what is removed from MinIO is on its disk for minutes more."""
        within = ["nsenter", "--mount", f"--target={self.process.pid}"]
        remount = ["mount", "-o", f"remount,size={2 * DISK_BYTES}", str(self.disk)]
        subprocess.run([*within, *remount], check=True)


@contextmanager
def small_minio(folder: Path, address: str = "127.0.0.1") -> Iterator[Server]:
    """A server in the network of who asks, with an empty bucket."""
    with socket.create_server((address, 0)) as free:
        place: tuple[str, int] = free.getsockname()
    at = ":".join(map(str, place))
    minio = (str(program("minio")), "server", "--quiet", "--address", at, f"{folder}/data")
    environment = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": KEY, "HOME": str(folder)}
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", str(folder), *minio],
        env=os.environ | environment | {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = S3Store(BUCKET, "", S3Settings(f"http://{at}", KEY, KEY, None, "us-east-1"))
        _make_bucket(store)
        yield Server(process, place, store, folder)
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


class SlowWay(socketserver.ThreadingTCPServer):
    """Passes connections on to a server, each answer so many seconds late."""

    daemon_threads = True
    # Its connections end with their clients, who keep them open.
    block_on_close = False
    late_s = 0.0

    def __init__(self, address: str, server: tuple[str, int]) -> None:
        super().__init__((address, 0), _Connection)
        self.place = (address, int(self.server_address[1]))
        self.there = server


class _Connection(socketserver.BaseRequestHandler):
    server: SlowWay

    def handle(self) -> None:
        """Both directions, until both have ended."""
        with socket.create_connection(self.server.there) as there:
            back = threading.Thread(target=self._pass_on, args=(there, self.request, True))
            back.daemon = True
            back.start()
            self._pass_on(self.request, there)
            back.join()

    def _pass_on(self, here: socket.socket, there: socket.socket, is_answer: bool = False) -> None:
        # Who is ended in the middle breaks its connection.
        with suppress(OSError):
            while data := here.recv(1 << 16):
                time.sleep(self.server.late_s if is_answer else 0.0)
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)


@contextmanager
def slow_way(address: str, server: tuple[str, int]) -> Iterator[SlowWay]:
    """Listen in the network of who asks, which its threads inherit."""
    with SlowWay(address, server) as way:
        threading.Thread(target=way.serve_forever, daemon=True).start()
        try:
            yield way
        finally:
            way.shutdown()
