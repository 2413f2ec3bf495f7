"""Waiting for a server by its socket: a connection, even an empty one, could end the server."""

import time
from pathlib import Path

from steps.lib.errors import TransientError
from steps.lib.targets.namespaces import netns

POLL_INTERVAL_S = 0.005

_TCP_LISTEN, _UDP_BOUND = "0A", "07"
_INODE = 9
_TABLES = {"tcp": (("tcp", "tcp6"), _TCP_LISTEN), "udp": (("udp", "udp6"), _UDP_BOUND)}


def wait_listening(namespace: str | None, port: int, protocol: str, timeout_s: float) -> None:
    """Wait until a socket of the namespace listens on the port.

    Raises:
        TransientError: none does in time.
    """
    deadline = time.monotonic() + timeout_s
    while not is_listening(namespace, port, protocol):
        if time.monotonic() > deadline:
            raise TransientError(
                f"nothing listens on {protocol} port {port} in {namespace or 'our own network'} "
                f"after {timeout_s:g} s"
            )
        time.sleep(POLL_INTERVAL_S)


def is_listening(namespace: str | None, port: int, protocol: str) -> bool:
    """Whether a socket of the namespace is bound to the port and takes what comes."""
    return bool(listeners(namespace, port, protocol))


def listeners(namespace: str | None, port: int, protocol: str) -> set[str]:
    """Inodes of those sockets, by which processes hold them."""
    tables, state = _TABLES[protocol]
    with netns.inside(namespace):
        files = [Path("/proc/thread-self/net", table) for table in tables]
        lines = [line for f in files if f.exists() for line in f.read_text().splitlines()[1:]]
    wanted = f":{port:04X}"
    found = (line.split() for line in lines)
    return {f[_INODE] for f in found if f[1].endswith(wanted) and f[3] == state}
