"""Imported runs into a store: a campaign of their own, which nothing that is measured can join."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steps.lib.errors import InputError
from steps.lib.imports.runs import ENVIRONMENT_CLASS, Imported, ImportedRun
from steps.lib.store import Store, read_rows, store_measurement, write_rows
from steps.lib.store.keys import is_safe
from steps.lib.tables import METHOD_VERSION, PLANNED

PROFILE = "as-published"


@dataclass(frozen=True)
class Outcome:
    """How many rows there are by status, and how many of them are new."""

    statuses: Mapping[str, int]
    new: int


def store_import(store: Store, campaign: str, found: Imported) -> Outcome:
    """Write every run that is not there yet.

    Raises:
        InputError: no runs were found, or the campaign holds something else.
    """
    if not is_safe(campaign):
        raise InputError(f"--campaign {campaign!r}: use letters, digits, `.`, `_` and `-`")
    if not found.runs:
        raise InputError(f"{found.source}: has no run that can be given a row")
    _register(store, campaign, found)
    new = sum(_store(store, campaign, found, run) for run in found.runs)
    return Outcome(Counter(run.status for run in found.runs), new)


def _register(store: Store, campaign: str, found: Imported) -> None:
    stored = read_rows(store, "campaigns", campaign=campaign)
    if stored:
        if stored[0]["digest"] != found.digest:
            raise InputError(
                f"campaign {campaign!r} in this store holds something else than {found.source} as "
                f"it is now (sha256 {found.digest[:12]}); choose another --campaign"
            )
        return
    # A cell may lack its path in a broken line; it is still one that was run.
    rows = [_planned(campaign, found, run, order) for order, run in enumerate(found.runs)]
    write_rows(store, "planned", rows, campaign=campaign)
    provenance = {"import": found.form, "source": found.source, "sha256": found.digest}
    row = {
        "campaign": campaign,
        "title": f"Imported from {found.source}",
        "target": f"imported/{found.form}",
        "environment_class": ENVIRONMENT_CLASS,
        "digest": found.digest,
        "document": json.dumps(provenance | {"left_out": found.left_out}),
        "baseline_plugin": found.baseline,
        "method_version": METHOD_VERSION,
        "created_at": datetime.now(UTC),
    }
    write_rows(store, "campaigns", [row], campaign=campaign)


def _identity(campaign: str, found: Imported, run: ImportedRun) -> dict[str, Any]:
    """A broken line is of the same cell as its sisters, so it has what they say of it."""
    sister = next((r.asked for r in found.runs if r.cell == run.cell and r.asked), {})
    return {
        **sister,
        **run.asked,
        "campaign": campaign,
        "block": f"{run.plugin}.{PROFILE}.r{run.repeat}",
        "plugin": run.plugin,
        "profile": PROFILE,
        "repeat": run.repeat,
        "cell": run.cell,
        "role": run.role,
        "path": run.asked.get("path") or sister.get("path") or "unknown",
        "traffic": run.asked.get("traffic") or sister.get("traffic") or run.cell,
    }


def _planned(campaign: str, found: Imported, run: ImportedRun, order: int) -> dict[str, Any]:
    empty = dict.fromkeys(column.name for column in PLANNED)
    return empty | _identity(campaign, found, run) | {"block_order": 0, "cell_order": order}


def _store(store: Store, campaign: str, found: Imported, run: ImportedRun) -> bool:
    gates = [{"gate": "imported", "verdict": "not_applicable", "evidence": _evidence(found, run)}]
    made_of = f"{found.digest} {run.where}"
    row = {
        **_identity(campaign, found, run),
        **run.metrics,
        "measurement_id": hashlib.sha256(made_of.encode()).hexdigest()[:32],
        "install_id": f"imported-{found.digest[:16]}",
        "status": run.status,
        "reason": run.reason,
        "attempt": 1,
        "gates": gates,
        "rejected_attempts": [],
        "environment_class": ENVIRONMENT_CLASS,
        "environment_fingerprint": found.digest,
        "tool": run.tool,
        "tool_version": run.tool_version,
        "started_at": run.started_at,
    }
    return store_measurement(store, row, (), (), run.raw)


def _evidence(found: Imported, run: ImportedRun) -> str:
    said = f"{found.source} sha256 {found.digest}, {run.where}"
    return f"{said}: {run.remark}" if run.remark else said
