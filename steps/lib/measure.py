"""Measuring one cell: tries with all that belongs around a run, gates, one row."""

import hashlib
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steps.lib import beside
from steps.lib import evidence as look
from steps.lib import gates as validity
from steps.lib.context import Context
from steps.lib.gates.state import connections_tracked
from steps.lib.measured import Measured
from steps.lib.models import PATHS, NoDropSearch
from steps.lib.no_drop import search
from steps.lib.placing import endpoints, more_pairs
from steps.lib.plan import PlannedCell, cell_identity
from steps.lib.policing import Policed, policed
from steps.lib.reading import Ends, Window
from steps.lib.row import (
    beside_columns,
    component_columns,
    cost_columns,
    population_columns,
    raw_document,
    record_columns,
)
from steps.lib.run import Run, parsed, run_traffic, wait_until_quiet
from steps.lib.state import BlockState
from steps.lib.targets.observations import Sampled, Sampling
from steps.lib.targets.protocol import Population
from steps.lib.targets.wire import Seen
from steps.lib.traffic import tool_for
from steps.lib.traffic.protocol import Tool, ToolRecord


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What was seen of one run and around it, before anything of it is judged.

    ``fingerprints`` are of the installed plugin, before and after. What the other fields mean for
    a gate is said by ``Evidence``.
    """

    tool: Tool
    ends: Ends
    probe: Mapping[int, bool]
    run: Run
    before: look.Before
    after: look.After
    fingerprints: tuple[str | None, str | None]
    sampled: Sampled
    wire: Seen | None
    beside: tuple[beside.Ran, ...]
    policed: Policed | None
    population: Population


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
    for number in range(1, context.job.matrix.limits.attempts_max + 1):
        wait_until_quiet(context.target, context.job.matrix.limits.busy_percent_max_before_start)
        measured = _measured(context, planned, state, _attempt(context, planned, state))
        if measured.noise:
            rejected.append(measured.noise | {"attempt": number})
        measured.row.update(attempt=number, rejected_attempts=rejected)
        if not measured.noise:
            break
    return measured


def _attempt(context: Context, planned: PlannedCell, state: BlockState) -> Attempt:
    """Run the tool once, with what the cell asks for around it, and look at everything."""
    target, traffic = context.target, planned.cell.traffic
    tool, path = tool_for(traffic), PATHS[planned.cell.path]
    installed = look.fingerprint(target)
    with (
        target.surroundings.populated(traffic.scale, traffic.family) as population,
        endpoints(target, path, tool, traffic) as ends,
        more_pairs(target, path, traffic) as more,
        nullcontext(look.probe_path_mtu(target, ends)) as probe,
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
    fingerprints = (installed, look.fingerprint(target))
    return Attempt(
        tool=tool,
        ends=ends,
        probe=probe,
        run=run,
        before=before,
        after=after,
        fingerprints=fingerprints,
        sampled=sampled,
        wire=wire,
        beside=tuple(ran),
        policed=policy,
        population=population,
    )


def _sampled(sampling: Sampling, window: Window | None) -> Sampled:
    return sampling.between(window.cpu.first, window.cpu.last) if window else Sampled()


def _measured(
    context: Context, planned: PlannedCell, state: BlockState, attempt: Attempt
) -> Measured:
    """Judge what was seen, and make a row of it."""
    run, sampled = attempt.run, attempt.sampled
    evidence = _evidence(context, planned, state, attempt)
    row = _identity(context, planned, state) | _circumstances(attempt)
    row["connections_tracked"] = connections_tracked(evidence)
    row |= _judged(evidence, context, state)
    if row["status"] == "ok":
        row |= component_columns(sampled, context.job.matrix.cpu_sampling_hz)
    raw = raw_document(
        run.command, bytes(run.output), run.stderr, run.exit_code, sampled, attempt.beside
    )
    window = evidence.window
    noise = _noise(window, row) if window and row["status"] == "noisy" else None
    return Measured(row, *_parts(row, evidence.record), raw, noise)


def _evidence(
    context: Context, planned: PlannedCell, state: BlockState, attempt: Attempt
) -> validity.Evidence:
    """What the gates may look at: what was seen, beside what was asked for and begun with."""
    ends, before, after = attempt.ends, attempt.before, attempt.after
    record, error = parsed(attempt.tool, attempt.run)
    return validity.Evidence(
        cell=planned.cell,
        plugin=context.block.plugin,
        limits=context.job.matrix.limits,
        tool=attempt.tool,
        ends=ends,
        expected_mtu_bytes=before.expected_mtu_bytes,
        probe=attempt.probe,
        untuned=tuple(dict.fromkeys((*before.untuned, *after.tuned.wrong))),
        fingerprints=(state.plugin_fingerprint, *attempt.fingerprints),
        record=record,
        document_error=error,
        window=attempt.run.window(ends),
        around=Window(before.reading, after.reading, ends),
        port_range=after.port_range,
        offloads=state.offloads or {},
        same_document=_same_document(context, planned, attempt.run),
        wire=attempt.wire,
        beside=attempt.beside,
        policed=attempt.policed,
        baseline_tracked=state.baseline_tracked if planned.role == "reference" else None,
    )


def _circumstances(attempt: Attempt) -> dict[str, Any]:
    """Columns that hold however the run is judged."""
    ends, policy = attempt.ends, attempt.policed
    return {
        "command": attempt.run.command,
        "started_at": attempt.run.started_at,
        "profile_digest": attempt.before.tuned.digest,
        "congestion_control": attempt.before.congestion_control,
        "client_mtu_bytes": ends.client.mtu_bytes,
        "server_mtu_bytes": ends.server.mtu_bytes,
        "client_start_ms": ends.client.start_ms,
        "server_start_ms": ends.server.start_ms,
        "service_ready_ms": ends.server.service_ready_ms,
        **population_columns(attempt.population),
        "policy_applied_ms": policy.applied_ms if policy else None,
        "policy_removed_ms": policy.removed_ms if policy else None,
    }


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
        hz = context.nominal_hz
        columns |= record_columns(record)
        columns |= cost_columns(window, evidence.cell.traffic, hz, state.idle_busy_cpus)
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
