"""One run of a tool between fresh endpoints; all counters are read at both ends of its window."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar

from steps.lib.afterwards import afterwards
from steps.lib.plan import PlannedCell, run_time_s
from steps.lib.reading import CpuUse, Ends, Reading, Window, read
from steps.lib.targets.protocol import Process, Target
from steps.lib.traffic.protocol import Boundary, Clock, DocumentError, Due, Tool, ToolRecord

LISTEN_TIMEOUT_S = 5.0
SPARE_TIME_S = 15.0
"""What a tool may take beyond its own run time: connecting, control connection, last report."""

QUIET_SAMPLE_S = 0.1
QUIET_TIMEOUT_S = 10.0

T = TypeVar("T")


@dataclass
class Run:
    """One run of the tool, as it was seen from outside."""

    command: str
    started_at: datetime
    readings: dict[Boundary, Reading] = field(default_factory=dict)
    output: bytearray = field(default_factory=bytearray)
    stderr: bytes = b""
    exit_code: int = -1
    version_output: bytes = b""

    def window(self, ends: Ends) -> Window | None:
        """The measured window, if the tool reported both of its ends."""
        if len(self.readings) < 2:
            return None
        return Window(self.readings["window-start"], self.readings["window-end"], ends)


def run_traffic(target: Target, tool: Tool, planned: PlannedCell, ends: Ends) -> Run:
    """Run server and client; read all counters when the tool reports the ends of its window."""
    traffic = planned.cell.traffic
    version_output = _version_output(target, tool, ends)
    server = target.start(ends.server, tool.server_command(traffic, ends.own_address), "server")
    with afterwards(lambda: server.stop(0.0), "the server was not ended"):
        target.wait_listening(ends.server, tool.ports[0], "tcp", LISTEN_TIMEOUT_S)
        client = target.start(ends.client, tool.client_command(traffic, ends.address), "client")
        run = Run(shlex.join(client.command), datetime.now(UTC))
        run.version_output = version_output
        watch = WindowWatch(tool.clock(traffic), lambda: read(target, ends))
        with _ended_after(client, run_time_s(traffic) + SPARE_TIME_S), watch:
            for line in client.stdout:
                boundary = watch.feed(line)
                run.output += line
                if boundary == "window-end" and (number := tool.end_signal(traffic)):
                    server.signal(number)
        run.readings = watch.readings
        run.exit_code, run.stderr = client.stop(SPARE_TIME_S)
    return run


class WindowWatch(Generic[T]):
    """Readings at the ends of a tool's window, one each: when it says so, or when they are due."""

    def __init__(self, clock: Clock, take: Callable[[], T]) -> None:
        self.readings: dict[Boundary, T] = {}
        self._clock, self._take = clock, take
        self._pool = ThreadPoolExecutor(1)
        self._line_came = threading.Event()
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._line_came.set()
        self._pool.shutdown()
        if kind is None:
            self._settle()

    def feed(self, line: bytes) -> Boundary | None:
        """Take a line as soon as it comes; return the boundary that it tells of.

        Raises:
            Exception: what a reading raised, also one that was due since the line before.
        """
        self._line_came.set()
        self._settle()
        boundary = self._clock.feed(line)
        if boundary:
            self._read(boundary)
        elif self._clock.due:
            self._line_came = threading.Event()
            self._pending = self._pool.submit(self._wait, self._clock.due, self._line_came)
        return boundary

    def _settle(self) -> None:
        """Let a reading that has begun come to its end, however that is."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def _wait(self, due: Due, line_came: threading.Event) -> None:
        if not line_came.wait(due.after_s):
            self._read(due.boundary)

    def _read(self, boundary: Boundary) -> None:
        if boundary not in self.readings:
            self.readings[boundary] = self._take()


def _version_output(target: Target, tool: Tool, ends: Ends) -> bytes:
    """What the tool says of its version, where its record does not carry one."""
    if tool.version_command is None:
        return b""
    process = target.start(ends.client, tool.version_command, "probe")
    with _ended_after(process, SPARE_TIME_S):
        output = process.stdout.read()
    process.stop(SPARE_TIME_S)
    return output


@contextmanager
def _ended_after(process: Process, limit_s: float) -> Iterator[None]:
    """A tool that hangs is ended, so that reading its output ends too."""
    timer = threading.Timer(limit_s, process.stop, args=(0.0,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def wait_until_quiet(target: Target, busy_percent_max: float) -> None:
    """Let the last run's work drain; what is still busy then is for the noise gates to judge."""
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    while time.monotonic() < deadline:
        before = target.cpu()
        time.sleep(QUIET_SAMPLE_S)
        use = CpuUse(before, target.cpu())
        idle_s = use.used_s["idle"] + use.used_s["iowait"]
        if 100 * (1 - idle_s / use.capacity_s) <= busy_percent_max:
            return


def parsed(tool: Tool, run: Run) -> tuple[ToolRecord | None, DocumentError | None]:
    """The tool's record, or what is wrong with its document."""
    try:
        return tool.parse(bytes(run.output), run.version_output), None
    except DocumentError as error:
        said = run.stderr.decode("utf-8", "replace").strip()
        return None, type(error)(f"{error}{f' (stderr: {said[-300:]})' if said else ''}")
