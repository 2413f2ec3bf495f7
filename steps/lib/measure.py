"""Measuring one cell: endpoints, traffic, readings at both ends of the window, gates, one row."""

import hashlib
import shlex
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steps.lib import beside
from steps.lib import evidence as look
from steps.lib import gates as validity
from steps.lib.afterwards import afterwards
from steps.lib.context import Context
from steps.lib.gates.state import connections_tracked
from steps.lib.measured import Measured
from steps.lib.models import PATHS, NoDropSearch
from steps.lib.no_drop import search
from steps.lib.placing import endpoints, more_pairs
from steps.lib.plan import PlannedCell, cell_identity, run_time_s
from steps.lib.policing import policed
from steps.lib.reading import CpuUse, Ends, Reading, Window, read
from steps.lib.row import (
    beside_columns,
    component_columns,
    cost_columns,
    population_columns,
    raw_document,
    record_columns,
)
from steps.lib.state import BlockState
from steps.lib.targets.observations import Sampled, Sampling
from steps.lib.targets.protocol import Process, Target
from steps.lib.traffic import tool_for
from steps.lib.traffic.protocol import Boundary, DocumentError, Tool, ToolRecord

LISTEN_TIMEOUT_S = 5.0
SPARE_TIME_S = 15.0
"""What a tool may take beyond its own run time: connecting, control connection, last report."""

QUIET_SAMPLE_S = 0.1
QUIET_TIMEOUT_S = 10.0


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


def measure(context: Context, planned: PlannedCell, state: BlockState) -> Measured:
    """Run a cell until the machine was quiet enough, at most ``attempts_max`` times.

    A try is given up only for the state of the machine (steal, foreign CPU), never for its result;
    each one given up stays in the row with its readings.
    """
    if isinstance(planned.cell.traffic, NoDropSearch):
        return search(planned, lambda trial: _tries(context, trial, state))
    return _tries(context, planned, state)


def _tries(context: Context, planned: PlannedCell, state: BlockState) -> Measured:
    rejected: list[dict[str, Any]] = []
    for attempt in range(1, context.job.matrix.limits.attempts_max + 1):
        measured = _attempt(context, planned, state)
        if measured.noise:
            rejected.append(measured.noise | {"attempt": attempt})
        measured.row.update(attempt=attempt, rejected_attempts=rejected)
        if not measured.noise:
            break
    return measured


def _attempt(context: Context, planned: PlannedCell, state: BlockState) -> Measured:
    target, traffic = context.target, planned.cell.traffic
    tool = tool_for(traffic)
    path = PATHS[planned.cell.path]
    wait_until_quiet(target, context.job.matrix.limits.busy_percent_max_before_start)
    fingerprint = look.fingerprint(target)
    with (
        target.surroundings.populated(traffic.scale) as population,
        endpoints(target, path, tool, traffic) as ends,
        more_pairs(target, path, traffic) as more,
        policed(target, traffic.policy, ends, tool.ports) as policy,
    ):
        before = look.look_before(context, state, planned, ends)
        with (
            look.watching(context, planned, ends) as watched,
            target.sampling(context.job.matrix.cpu_sampling_hz) as sampling,
            beside.running(target, [*beside.loads(traffic, ends), *more]) as ran,
        ):
            run = run_traffic(target, tool, planned, ends)
            sampled = _sampled(sampling, run.window(ends))
            wire = watched()
        after = look.look_after(context, state, ends)
        if policy is not None:
            policy.look_again()
    record, error = _parse(tool, run)
    evidence = validity.Evidence(
        cell=planned.cell,
        plugin=context.block.plugin,
        limits=context.job.matrix.limits,
        tool=tool,
        ends=ends,
        expected_mtu_bytes=before.expected_mtu_bytes,
        probe=before.probe,
        untuned=tuple(dict.fromkeys((*before.untuned, *after.tuned.wrong))),
        fingerprints=(state.plugin_fingerprint, fingerprint, look.fingerprint(target)),
        record=record,
        document_error=error,
        window=run.window(ends),
        around=Window(before.reading, after.reading, ends),
        port_range=after.port_range,
        offloads=state.offloads or {},
        same_document=_same_document(context, planned, run),
        wire=wire,
        beside=tuple(ran),
        policed=policy,
        baseline_tracked=state.baseline_tracked if planned.role == "reference" else None,
    )
    identity = _identity(context, planned, state)
    row = identity | {
        "command": run.command,
        "started_at": run.started_at,
        "profile_digest": before.tuned.digest,
        "congestion_control": before.congestion_control,
        "client_mtu_bytes": ends.client.mtu_bytes,
        "server_mtu_bytes": ends.server.mtu_bytes,
        "client_start_ms": ends.client.start_ms,
        "server_start_ms": ends.server.start_ms,
        "connections_tracked": connections_tracked(evidence),
        "service_ready_ms": ends.server.service_ready_ms,
        **population_columns(population),
        "policy_applied_ms": policy.applied_ms if policy else None,
        "policy_removed_ms": policy.removed_ms if policy else None,
    }
    row |= _judged(evidence, context, state)
    if row["status"] == "ok":
        row |= component_columns(sampled, context.job.matrix.cpu_sampling_hz)
    raw = raw_document(run.command, bytes(run.output), run.stderr, run.exit_code, sampled, ran)
    window = evidence.window
    noise = _noise(window, row) if window and row["status"] == "noisy" else None
    return Measured(row, *_parts(row, record), raw, noise)


def _sampled(sampling: Sampling, window: Window | None) -> Sampled:
    return sampling.between(window.cpu.first, window.cpu.last) if window else Sampled()


def failed(context: Context, planned: PlannedCell, state: BlockState, reason: str) -> Measured:
    """A row for a cell that could not be run at all."""
    row = _identity(context, planned, state) | {
        "status": "failed",
        "reason": reason,
        "started_at": datetime.now(UTC),
        "attempt": 1,
        "rejected_attempts": [],
        "gates": [],
    }
    return Measured(row, [], [], raw_document("", b"", reason.encode(), -1))


def run_traffic(target: Target, tool: Tool, planned: PlannedCell, ends: Ends) -> Run:
    """Run server and client; read all counters when the tool reports the ends of its window."""
    traffic = planned.cell.traffic
    version_output = _version_output(target, tool, ends)
    server = target.start(ends.server, tool.server_command(traffic, ends.own_address), "server")
    with afterwards(lambda: server.stop(0.0), "the server was not ended"):
        target.wait_listening(ends.server, tool.ports[0], "tcp", LISTEN_TIMEOUT_S)
        client = target.start(ends.client, tool.client_command(traffic, ends.address), "client")
        run = Run(shlex.join(client.command), datetime.now(UTC))
        clock = tool.clock(traffic)
        run.version_output = version_output
        with _ended_after(client, run_time_s(traffic) + SPARE_TIME_S):
            for line in client.stdout:
                boundary = clock.feed(line)
                if boundary:
                    run.readings[boundary] = read(target, ends)
                run.output += line
                if boundary == "window-end" and (number := tool.end_signal(traffic)):
                    server.signal(number)
        run.exit_code, run.stderr = client.stop(SPARE_TIME_S)
    return run


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


def _parse(tool: Tool, run: Run) -> tuple[ToolRecord | None, DocumentError | None]:
    try:
        return tool.parse(bytes(run.output), run.version_output), None
    except DocumentError as error:
        said = run.stderr.decode("utf-8", "replace").strip()
        return None, type(error)(f"{error}{f' (stderr: {said[-300:]})' if said else ''}")


def _same_document(context: Context, planned: PlannedCell, run: Run) -> str | None:
    """The cell that had the very same document before, as far as this process knows."""
    digest = hashlib.sha256(run.output).hexdigest()
    before = context.documents.get(digest)
    context.documents[digest] = planned.id
    return before


def _identity(context: Context, planned: PlannedCell, state: BlockState) -> dict[str, Any]:
    return cell_identity(context.block, planned) | {
        "measurement_id": str(uuid.uuid4()),
        "install_id": state.install_id,
        "environment_class": context.target.environment_class,
        "environment_fingerprint": state.environment_fingerprint,
        "plugin_fingerprint": state.plugin_fingerprint,
    }


def _judged(evidence: validity.Evidence, context: Context, state: BlockState) -> dict[str, Any]:
    """Status, reason and gates; the numbers only if every gate let them pass."""
    gates = validity.check_all(evidence)
    failure = validity.first_failure(gates)
    columns: dict[str, Any] = {"gates": [vars(g) for g in gates], "status": "ok", "reason": None}
    if failure:
        noisy = failure.gate in validity.NOISE
        columns["status"] = "noisy" if noisy else "invalid"
        columns["reason"] = f"{failure.gate}: {failure.evidence}"
    window, record = evidence.window, evidence.record
    if columns["status"] == "ok" and window and record:
        facts = context.target.facts(context.target.nodes()[0])
        columns |= record_columns(record)
        columns |= cost_columns(window, evidence.cell.traffic, facts, state.idle_busy_cpus)
        columns |= beside_columns(evidence.beside, window, record)
    elif record:
        columns |= {"tool": record.tool, "tool_version": record.version}
    return columns


def _noise(window: Window, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "steal_percent": window.cpu.steal_percent,
        "foreign_cpu_percent": window.cpu.foreign_percent,
        "reason": row["reason"],
    }


def _parts(
    row: dict[str, Any], record: ToolRecord | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``intervals`` and of ``histograms``."""
    if record is None:
        return [], []
    keys = {name: row[name] for name in ("campaign", "block", "cell", "measurement_id")}
    intervals, histogram = record.intervals, record.histogram
    return [keys | vars(part) for part in intervals], [keys | vars(part) for part in histogram]
