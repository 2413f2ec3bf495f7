"""Trying whether a port of a pod can be reached, before a tool listens there.

A listening socket answers by itself, so nothing has to run in the pod while somebody else connects.
"""

import contextlib
import errno
import itertools
import selectors
import socket
import time
from collections.abc import Iterator

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
    with netns.inside(places.network(container)):
        trial = socket.socket(_family(address), socket.SOCK_STREAM)
    with trial:
        trial.settimeout(timeout_s)
        try:
            trial.connect((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def refusing(addresses: list[str], port: int, timeout_s: float) -> list[str]:
    """Which addresses refuse connections from the node, all of them asked at once.

    It is an answer: of a pod in which nothing listens on the port.
    """
    with netns.inside(places.NODE_NETWORK), contextlib.ExitStack() as stack:
        trials = {stack.enter_context(_begun(address, port)): address for address in addresses}
        return [trials[each] for each in _ended(set(trials), timeout_s) if _is_refused(each)]


def _begun(address: str, port: int) -> socket.socket:
    trial = socket.socket(_family(address), socket.SOCK_STREAM)
    trial.setblocking(False)
    trial.connect_ex((address, port))
    return trial


def _ended(trials: set[socket.socket], timeout_s: float) -> Iterator[socket.socket]:
    """Trials that came to an end in time, as they do."""
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as waiting:
        for trial in trials:
            waiting.register(trial, selectors.EVENT_WRITE, trial)
        while waiting.get_map() and (left_s := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left_s):
                waiting.unregister(key.data)
                yield key.data


def _is_refused(trial: socket.socket) -> bool:
    return trial.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()
