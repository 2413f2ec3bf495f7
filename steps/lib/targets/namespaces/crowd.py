"""Pods that are started at once, and timed until each answers."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from steps.lib.errors import RefusedError
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.endpoints import Endpoints
from steps.lib.targets.protocol import CLOSED_PORT, EndpointRequest

ANSWER_TIMEOUT_S = 60.0
TRIAL_TIMEOUT_S = 0.05
POLL_S = 0.005


@contextmanager
def crowd(endpoints: Endpoints, count: int) -> Iterator[tuple[float, ...]]:
    """Start so many pods, on the nodes in turn; yields when all answer, with each one's time in ms.

    Raises:
        RefusedError: a pod did not answer, or the plugin did not make it.
    """
    with ExitStack() as pods, ThreadPoolExecutor(max(1, count)) as pool:
        begun_s = time.monotonic()

        def start(number: int) -> float:
            index = number % len(endpoints.layout.nodes)
            making = endpoints.make(EndpointRequest(f"crowd-{number}", "pod", index))
            pod = making.__enter__()
            pods.push(making)
            other = endpoints.layout.peers(endpoints.layout.nodes[index])[0]
            _until_answer(endpoints.layout.namespace(other.name), pod.address)
            return (time.monotonic() - begun_s) * 1e3

        yield tuple(pool.map(start, range(count)))


def _until_answer(namespace: str, address: str) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not _answers(namespace, address):
        if time.monotonic() > deadline:
            raise RefusedError(f"{address} does not answer {namespace} in {ANSWER_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


def _answers(namespace: str, address: str) -> bool:
    with netns.inside(namespace):
        trial = socket.socket()
    with trial:
        trial.settimeout(TRIAL_TIMEOUT_S)
        try:
            trial.connect((address, CLOSED_PORT))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True
