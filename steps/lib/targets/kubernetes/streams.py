"""One agent's ear: a process started in its pod by ``exec``, spoken to by JSON lines."""

import contextlib
import json
import time
from collections.abc import Sequence
from typing import Any

import websocket
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from steps.lib.errors import TransientError
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.api import NAMESPACE, Api

OPEN_FOR_S = 30.0
RETRY_INTERVAL_S = 0.5

_BROKEN = (websocket.WebSocketException, OSError, ValueError)


class BrokenStreamError(Exception):
    """The stream ended before the answer. Not of the error tree: it is opened anew first."""


class Stream:
    """A started process that answers each line with one line. Not for several threads at once."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0

    def ask(self, call: str, arguments: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            BrokenStreamError: the process or the connection ended.
            TransientError: no answer in time; the stream cannot be used any more.
        """
        self._number += 1
        request = {"id": self._number, "call": call, "arguments": arguments}
        try:
            self._socket.write_stdin(json.dumps(request) + "\n")
            line = self._socket.readline_stdout(timeout=timeout_s)
        except _BROKEN as error:
            raise BrokenStreamError(self._last_words() or str(error)) from error
        if not line:
            if self._socket.is_open():
                raise TransientError(f"no answer to {call!r} in {timeout_s:g} s")
            raise BrokenStreamError(self._last_words() or "the connection was closed")
        self._socket.read_all()  # The client keeps a copy of everything until it is asked for it.
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process: it ends with its standard input."""
        with contextlib.suppress(*_BROKEN):
            self._socket.close()
        # A connection that was broken from outside is not closed by that.
        self._socket.sock.shutdown()

    def _last_words(self) -> str:
        with contextlib.suppress(*_BROKEN):
            return str(self._socket.read_stderr(timeout=1) or "").strip()[-500:]
        return ""


def open_stream(api: Api, pod: str, container: str, command: Sequence[str]) -> Stream:
    """Start a command in a pod; tried again while the API server is away.

    Raises:
        TransientError: it cannot be started; the message says what the API server says.
    """
    deadline = time.monotonic() + OPEN_FOR_S
    while True:
        core = CoreV1Api(api.separate_client())
        try:
            socket = stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                NAMESPACE,
                container=container,
                command=list(command),
                stdin=True,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
            )
            return Stream(socket)
        except ApiException as error:
            said = " ".join(str(error.reason or error.body).split())[:300]
            # A kubelet that has just started says "not found" of pods that it does not know yet.
            found = pods.read(api, pod)
            lost = pods.node_problem(api, found.spec.node_name) if found else said
            if lost or time.monotonic() > deadline:
                why = lost or said
                raise TransientError(f"no command can be run in pod {pod}: {why}") from error
        time.sleep(RETRY_INTERVAL_S)
