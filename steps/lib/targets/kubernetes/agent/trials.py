"""Trying whether a port of a pod can be reached, before a tool listens there.

A listening socket answers by itself, so nothing has to run in the pod while somebody else connects.
"""

import itertools
import socket

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.namespaces import netns

BACKLOG = 16

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

_open: dict[int, list[socket.socket]] = {}
_numbers = itertools.count(1)


def open_ports(ports: list[int], container: str | None = None, family: str = "ipv4") -> int:
    """Listen on TCP ports of a pod, or of the node; a number that stands for them."""
    opened: list[socket.socket] = []
    try:
        with netns.inside(places.network(container)):
            for port in ports:
                listener = socket.socket(_FAMILIES[family], socket.SOCK_STREAM)
                opened.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("", port))
                listener.listen(BACKLOG)
    except OSError as error:
        _close(opened)
        raise RefusedError(f"ports {ports} cannot be listened on: {error.strerror}") from error
    _open[number := next(_numbers)] = opened
    return number


def close_ports(number: int) -> None:
    """Stop listening. Idempotent."""
    _close(_open.pop(number, []))


def connect(
    address: str, port: int, timeout_s: float = 1.0, container: str | None = None
) -> str | None:
    """Connect by TCP from a pod, or from the node, and hang up; the reason if that fails."""
    family = "ipv6" if ":" in address else "ipv4"
    with netns.inside(places.network(container)):
        trial = socket.socket(_FAMILIES[family], socket.SOCK_STREAM)
    with trial:
        trial.settimeout(timeout_s)
        try:
            trial.connect((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()
