"""Measuring a no-drop rate: one row made of many runs, each of them judged by every gate."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from steps.lib.gates.base import Finding, verdict
from steps.lib.measured import Measured
from steps.lib.models import Cell, NoDropSearch, UdpStream
from steps.lib.plan import PlannedCell
from steps.lib.traffic.search import Search, Trial, verdict_of

GATE = "no-drop-confirmed"
NOT_OFFERED = "rate-offered"
"""The gate that says of a single run that its generator did not reach the rate: here, a finding."""

Run = Callable[[PlannedCell], Measured]


def search(planned: PlannedCell, run: Run) -> Measured:
    """Try rates until one is confirmed; the last run, as the row of the whole search.

    A run that does not count (noise, another gate) ends the search: the row is that run's, with its
    status and its reason.
    """
    asked = planned.cell.traffic
    assert isinstance(asked, NoDropSearch), "other traffic is run once"
    found, raws = Search(asked), list[bytes]()
    measured: Measured | None = None
    while (wanted := found.next()) is not None:
        rate, confirms = wanted
        duration_s = asked.duration_s if confirms else asked.trial_s
        traffic = _at(asked, rate, duration_s)
        measured = run(replace(planned, cell=Cell(path=planned.cell.path, traffic=traffic)))
        raws.append(measured.raw)
        row = measured.row
        refused = row["status"] != "ok" and not str(row["reason"]).startswith(f"{NOT_OFFERED}:")
        if refused:
            row["reason"] = f"{row['reason']} (run {len(raws)} of the search, {rate} bit/s)"
            break
        lost, sent = row.get("lost_percent"), row.get("sent_bits_per_s")
        judged = verdict_of(asked, rate, sent, lost)
        found.tell(Trial(rate, duration_s, confirms, sent, lost, judged))
    assert measured is not None, "a search has at least one run"
    measured.row.update(planned.cell.columns)
    measured.row["search_trials"] = [_trial_columns(trial) for trial in found.trials]
    if found.next() is None:
        _conclude(measured.row, found)
    return replace(measured, raw=_raw(raws))


def _at(asked: NoDropSearch, rate: int, duration_s: int) -> UdpStream:
    return UdpStream(
        id=asked.id,
        kind="udp-stream",
        streams=asked.streams,
        message_bytes=asked.message_bytes,
        direction=asked.direction,
        rate_bits_per_s=rate,
        duration_s=duration_s,
        omit_s=asked.omit_s,
    )


def _conclude(row: dict[str, Any], found: Search) -> None:
    """Put the answer into the row, or why there is none."""
    finding = _finding(found)
    row["gates"] = [*row["gates"], vars(finding)]
    if found.found is None:
        row |= {"status": "invalid", "reason": f"{GATE}: {finding.evidence}"}
        return
    row |= {
        "no_drop_bits_per_s": found.found,
        "no_drop_datagrams_per_s": found.found / 8 / found.asked.message_bytes,
        "no_drop_failed_bits_per_s": found.failed_bits_per_s,
        "no_drop_limited_by": found.limited_by,
        "no_drop_confirmations": found.confirmations,
        "no_drop_pass_share_low": found.pass_share_low,
    }


def _finding(found: Search) -> Finding:
    asked, runs = found.asked, len(found.trials)
    if found.found is not None:
        text = f"{found.found} bit/s passed {found.confirmations} runs of {asked.duration_s} s"
    elif runs >= asked.trials_max:
        text = f"{runs} runs confirmed no rate; raise `trials_max` or `resolution_percent`"
    else:
        last = found.trials[-1]
        why = "not offered" if last.verdict == "not-offered" else f"{last.lost_percent:.3g} % lost"
        text = f"{why} at {last.rate_bits_per_s} bit/s already; lower `rate_bits_per_s_min`"
    return Finding(GATE, verdict(found.found is not None), text)


def _trial_columns(trial: Trial) -> dict[str, Any]:
    return {
        "offered_bits_per_s": trial.rate_bits_per_s,
        "duration_s": trial.duration_s,
        "confirms": trial.confirms,
        "sent_bits_per_s": trial.sent_bits_per_s,
        "lost_percent": trial.lost_percent,
        "verdict": trial.verdict,
    }


def _raw(raws: list[bytes]) -> bytes:
    """The last run's own words, and those of the others beside them."""
    document = json.loads(raws[-1])
    return json.dumps(document | {"earlier_runs": [json.loads(raw) for raw in raws[:-1]]}).encode()
