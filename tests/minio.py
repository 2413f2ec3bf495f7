"""MinIO itself on loopback, as the lab has compiled it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.programs import program
from tests.seaweedfs import ACCESS_KEY, SECRET_KEY, S3Server, free_ports, running


@contextmanager
def minio_server(folder: Path) -> Iterator[S3Server]:
    """A server whose data are in a folder, until the end of the block."""
    server = S3Server(f"127.0.0.1:{free_ports(1)[0]}")
    environment = {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "HOME": str(folder),
    }
    words = [str(program("minio")), "server", "--quiet", "--address", server.host, f"{folder}/data"]
    with running(server, words, folder, environment):
        yield server
