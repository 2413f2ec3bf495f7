"""A traffic tool in a pod: its output is the pod's log, as it comes.

The pod's container runs a launcher (``launcher.py``), which waits for one command line on a FIFO
and runs it. At the end it prints a mark, the exit status and the tool's standard error behind the
tool's output. So the end of the output is known at once and for certain, also when the log had to
be opened anew, and not a second later from the pod's status.

When the pod or its node is lost, the output just ends, and ``stop`` raises TransientError: the same
cell may succeed on another try.
"""

import fcntl
import io
import os
import signal
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import urllib3
from kubernetes.client.exceptions import ApiException

from steps.lib.errors import CnibenchError, TransientError
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import CONNECT_TIMEOUT_S, NAMESPACE, Api, explain

SILENCE_S = 5.0
"""When the log says nothing for so long, it is looked whether pod and node are still there."""

LOST_AFTER_S = 30.0
"""How long the log may be out of reach: the API server needs some seconds for a restart."""

PIPE_BYTES = 1 << 20
"""Room for a whole document: of a server that nobody reads from, the end must be seen too."""

HEAD_BYTES = 64
RETRY_INTERVAL_S = 0.25
TERMINATION_S = 1.0
SIGNALLED = 128


class LostError(Exception):
    """The pod or its node is gone, with the reason. Becomes a TransientError in ``stop``."""


@dataclass(frozen=True)
class Launched:
    """Where a tool runs."""

    pod: str
    node: str
    container: str
    """Its name in the pod."""
    container_id: str
    mark: str


class Running:
    """A started tool (``protocol.Process``)."""

    def __init__(self, api: Api, agents: Agents, place: Launched, command: tuple[str, ...]) -> None:
        self.command = command
        self._agents, self._place = agents, place
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._stdout = os.fdopen(reading, "rb")
        # Not closed by ``stop``: another thread may be reading the last lines just then.
        weakref.finalize(self, self._stdout.close)
        self._ended = threading.Event()
        self._log = _Log(api, place)
        self._exit_code: int | None = None
        self._stderr = b""
        self._lost: str | None = None
        pump = threading.Thread(target=self._pump, args=(writing,), daemon=True)
        pump.start()

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, line by line as it comes."""
        return self._stdout

    @property
    def has_ended(self) -> bool:
        """Whether its end, or its loss, was seen."""
        return self._ended.is_set()

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if not self._ended.is_set():
            self._agents.call(
                self._place.node, "signal", container=self._place.container_id, number=number
            )

    def stop(self, timeout_s: float) -> tuple[int, bytes]:
        """Wait, then SIGTERM, then SIGKILL; can be called from any thread, and again.

        Raises:
            TransientError: the pod, its node or its log was lost.
        """
        for limit_s, number in ((timeout_s, signal.SIGTERM), (TERMINATION_S, signal.SIGKILL)):
            if self._ended.wait(limit_s):
                break
            self._end_by(number)
        if not self._ended.wait(LOST_AFTER_S + SILENCE_S):
            raise TransientError(f"the end of {self.command[0]} was not seen in {self._place.pod}")
        if self._exit_code is None:
            raise TransientError(
                f"{self.command[0]} in pod {self._place.pod} on node {self._place.node} was lost: "
                f"{self._lost}"
            )
        return self._exit_code, self._stderr

    def _end_by(self, number: int) -> None:
        try:
            self.signal(number)
        except CnibenchError:
            return  # The node does not answer; that will be said by the log.

    def _pump(self, writing: int) -> None:
        """Move the tool's output into the pipe, in a thread of its own."""
        try:
            with os.fdopen(writing, "wb", buffering=0) as output:
                for text in self._log.output():
                    _write_all(output, text)
            self._exit_code, self._stderr = self._log.end()
        except LostError as error:
            self._lost = str(error)
        except (BrokenPipeError, ValueError):
            self._lost = "nobody reads its output"
        except Exception as error:  # Whatever it is: who waits must not wait for ever.
            self._lost = f"{type(error).__name__}: {error}"
        finally:
            self._ended.set()


class Ended:
    """A probe that has run (``protocol.Process``)."""

    def __init__(self, command: tuple[str, ...], told: Mapping[str, Any]) -> None:
        self.command = command
        self._told = told
        self._stdout = io.BytesIO(told["stdout"].encode())

    @property
    def stdout(self) -> IO[bytes]:
        """Its output."""
        return self._stdout

    def signal(self, number: int) -> None:
        """Nothing: it has ended."""

    def stop(self, timeout_s: float) -> tuple[int, bytes]:
        """How it ended."""
        return self._told["exit_code"], self._told["stderr"].encode()


@dataclass
class _Log:
    """A pod's log from its first byte, through interruptions, split at the launcher's mark."""

    api: Api
    place: Launched
    _received: int = 0
    _head: bytearray = field(default_factory=bytearray)
    """How the log begins: of a log that it cannot read, a kubelet sends its own words instead."""
    _rest: bytearray = field(default_factory=bytearray)
    """What came and was not given away yet."""
    _chunks: Generator[bytes] | None = None

    def output(self) -> Iterator[bytes]:
        """The tool's output in pieces, as they come."""
        mark = self.place.mark.encode()
        self._chunks = self._follow()
        for chunk in self._chunks:
            self._rest += chunk
            index = self._rest.find(mark)
            if index >= 0:
                yield bytes(self._rest[:index])
                del self._rest[:index]
                return
            # The end of what came may be the beginning of the mark.
            sure = len(self._rest) - _overlap(self._rest, mark)
            if sure:
                yield bytes(self._rest[:sure])
                del self._rest[:sure]
        raise LostError("its log ended before the tool did")

    def end(self) -> tuple[int, bytes]:
        """Exit status (negative: ended by that signal) and standard error, behind the output."""
        mark = self.place.mark.encode()
        ending = mark + b" end\n"
        assert self._chunks is not None, "the output was read first"
        while not self._rest.endswith(ending):
            chunk = next(self._chunks, None)
            if chunk is None:
                raise LostError("its log ended before the launcher did")
            self._rest += chunk
        self._chunks.close()
        heading, _, rest = bytes(self._rest).partition(b"\n")
        status = int(heading.rpartition(b" ")[2])
        code = SIGNALLED - status if SIGNALLED < status <= SIGNALLED + 64 else status
        return code, rest.removesuffix(ending)

    def _follow(self) -> Generator[bytes]:
        """Bytes of the log, none twice and none left out, until the container's log ends."""
        lost_since: float | None = None
        while True:
            try:
                for chunk in self._open():
                    lost_since = None
                    yield chunk
                problem: str = "its log ended"
                waiting = False
            except urllib3.exceptions.ReadTimeoutError:
                problem, waiting = f"it is silent for {SILENCE_S:g} s", True
            except (urllib3.exceptions.HTTPError, OSError) as error:
                problem, waiting = explain(error), False
            except ApiException as error:
                problem, waiting = explain(error), False
            gone = self._pod_problem()
            if gone is not None:
                yield from self._remainder()
                raise LostError(gone)
            lost_since = self._judge(lost_since, waiting, problem)

    def _judge(self, lost_since: float | None, waiting: bool, problem: str) -> float | None:
        """Since when the log is out of reach; a tool that only says nothing is not lost."""
        if waiting:
            return None
        now = time.monotonic()
        since = now if lost_since is None else lost_since
        if now - since > LOST_AFTER_S:
            raise LostError(f"its log is out of reach for {LOST_AFTER_S:g} s: {problem}")
        time.sleep(RETRY_INTERVAL_S)
        return since

    def _open(self, follow: bool = True) -> Iterator[bytes]:
        """Open the log from its beginning and skip what was received: that is exact.

        By time it would not be: the API server takes whole seconds only.
        """
        response: Any = self.api.core.read_namespaced_pod_log(
            self.place.pod,
            NAMESPACE,
            container=self.place.container,
            follow=follow,
            _preload_content=False,
            _request_timeout=(CONNECT_TIMEOUT_S, SILENCE_S),
        )
        try:
            skip, position = self._received, 0
            for chunk in response.stream(1 << 16, decode_content=False):
                if not chunk.startswith(bytes(self._head[position : position + len(chunk)])):
                    return
                position += len(chunk)
                fresh = chunk[skip:]
                skip = max(0, skip - len(chunk))
                self._head += fresh[: HEAD_BYTES - len(self._head)]
                if fresh:
                    self._received += len(fresh)
                    yield fresh
        finally:
            response.close()

    def _remainder(self) -> Iterator[bytes]:
        """What a pod that has ended wrote last, as far as it can still be read."""
        try:
            yield from self._open(follow=False)
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return

    def _pod_problem(self) -> str | None:
        """Why nothing can come any more; None while pod and node look well, or are not seen."""
        try:
            pod = pods.read(self.api, self.place.pod)
        except (CnibenchError, ApiException):
            return None  # The API server is away: what the pod does is not known.
        if pod is None:
            return "the pod was deleted"
        return _why_ended(pod) or pods.node_problem(self.api, self.place.node)


def _why_ended(pod: Any) -> str | None:
    """What the pod's status says of its end, eviction above all."""
    if pod.metadata.deletion_timestamp is not None:
        reasons = [c for c in pod.status.conditions or [] if c.type == "DisruptionTarget"]
        said = f": {reasons[0].reason}: {reasons[0].message}" if reasons else ""
        return f"the pod is being deleted{said}"
    if pod.status.phase == "Failed" and pod.status.reason:
        return f"the pod was ended: {pod.status.reason}: {pod.status.message or ''}".strip()
    for status in pod.status.container_statuses or []:
        ended = status.state.terminated
        if ended is not None:
            return f"its container ended: {ended.reason}, status {ended.exit_code}"
    return None


def _overlap(text: bytearray, mark: bytes) -> int:
    """Length of the longest beginning of the mark that the text ends with."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(mark[:n])), 0)


def _write_all(output: IO[bytes], text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[output.write(view) :]
