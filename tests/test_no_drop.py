"""A no-drop rate is searched, bounded, confirmed, and taken back when a run fails."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from steps.lib.models import NoDropSearch
from steps.lib.plan import run_time_s
from steps.lib.traffic.search import Search, Trial, verdict_of
from tests.offences import bench

ASKED: dict[str, Any] = {
    "id": "ndr",
    "kind": "no-drop-stream",
    "message_bytes": 1000,
    "omit_s": 0,
    "duration_s": 10,
    "rate_bits_per_s_min": 1_000_000,
    "rate_bits_per_s_max": 1_000_000_000,
    "loss_percent_max": 0.1,
    "resolution_percent": 5,
    "trial_s": 2,
    "confirmations": 3,
    "trials_max": 20,
}

Loss = Callable[[int, int], float | None]
"""Percent lost at a rate in the n-th trial; None where the generator does not reach it."""


def searched(loss: Loss, **changes: Any) -> Search:
    """A search to its end."""
    found = Search(NoDropSearch.model_validate(ASKED | changes))
    while (wanted := found.next()) is not None:
        rate, confirms = wanted
        lost = loss(rate, len(found.trials))
        sent = rate / 2 if lost is None else rate
        verdict = verdict_of(found.asked, rate, sent, lost)
        found.tell(Trial(rate, 2, confirms, sent, lost, verdict))
    return found


@pytest.mark.parametrize("edge", [2_000_000, 37_000_000, 420_000_000, 990_000_000])
def test_a_search_finds_the_edge_within_its_resolution_and_runs(edge: int) -> None:
    found = searched(lambda rate, _: 0.0 if rate <= edge else 3.0)
    assert found.found is not None
    assert found.found <= edge < (found.failed_bits_per_s or 0) <= 1.05 * found.found
    assert found.confirmations == 3
    assert len(found.trials) <= found.asked.trials_needed
    assert found.limited_by == "loss"


def test_a_rate_that_fails_a_confirmation_is_taken_back() -> None:
    edge = 400_000_000
    once = searched(lambda rate, _: 0.0 if rate <= edge else 3.0)
    sure = len(once.trials) - 1  # The last one, which confirmed.
    found = searched(lambda rate, n: 9.0 if n == sure or rate > edge else 0.0, trials_max=40)
    assert found.found is not None
    assert once.found is not None
    assert found.found < once.found
    assert found.failed_bits_per_s == once.found


def test_what_the_generator_does_not_send_is_its_limit_and_not_the_path_s() -> None:
    found = searched(lambda rate, _: 0.0 if rate <= 300_000_000 else None)
    assert (found.limited_by, found.confirmations) == ("generator", 3)


def test_a_path_that_takes_the_highest_rate_is_limited_by_what_was_asked() -> None:
    found = searched(lambda rate, _: 0.0)
    assert (found.found, found.failed_bits_per_s) == (1_000_000_000, None)
    assert (found.limited_by, len(found.trials)) == ("maximum", 4)


def test_a_path_that_always_loses_and_one_that_never_settles_have_no_rate() -> None:
    lossy = searched(lambda rate, _: 5.0)
    assert (lossy.found, len(lossy.trials)) == (None, 2)
    unsteady = searched(lambda rate, n: 5.0 if n % 3 == 0 else 0.0)
    assert unsteady.found is None
    assert len(unsteady.trials) <= 20


def test_loss_up_to_the_bound_passes() -> None:
    asked = NoDropSearch.model_validate(ASKED)
    given = [verdict_of(asked, 100, 100.0, lost) for lost in (0.0, 0.1, 0.11)]
    assert given == ["pass", "pass", "loss"]
    assert verdict_of(asked, 100, 98.0, 0.0) == "not-offered"


def test_confirmations_say_how_sure_the_rate_is() -> None:
    three = searched(lambda rate, _: 0.0)
    ten = searched(lambda rate, _: 0.0, confirmations=10)
    assert three.pass_share_low == pytest.approx(0.368, abs=0.001)
    assert ten.pass_share_low == pytest.approx(0.741, abs=0.001)


def test_its_time_is_planned_from_the_runs_that_it_needs() -> None:
    asked = NoDropSearch.model_validate(ASKED)
    assert asked.trials_needed == 2 + 8 + 3
    assert run_time_s(asked) == 61  # 10 of 2 s, 3 of 10 s, 0.8 s around each


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate_bits_per_s_min": 10**9}, "is not below rate_bits_per_s_max"),
        ({"trials_max": 12}, "write at least 13"),
        ({"loss_percent_max": -1}, "greater than or equal to 0"),
        ({"message_bytes": 70_000}, "less than or equal to 65507"),
        (
            {"load": {"streams": 1, "message_bytes": 100, "congestion_control": "node"}},
            "is for traffic of a known duration",
        ),
    ],
)
def test_a_search_that_cannot_come_to_an_end_is_refused(changes: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NoDropSearch.model_validate(ASKED | changes)


@pytest.mark.namespaces
def test_a_search_on_a_path_that_loses_above_a_rate_is_one_row_with_every_run() -> None:
    """The node's own packet filter drops what is above 2,500 datagrams a second: 20 Mbit/s."""
    short = {"duration_s": 1, "trial_s": 1, "resolution_percent": 50, "confirmations": 2}
    short |= {"loss_percent_max": 2}
    rates = {"rate_bits_per_s_min": 5_000_000, "rate_bits_per_s_max": 40_000_000}
    limit = "add table ip limits; add chain ip limits c { type filter hook forward priority 0; }; "
    limit += (
        "add rule ip limits c udp dport 30521 limit rate over 2500/second burst 200 packets drop"
    )
    with bench() as block:
        block.target.on_node(0, "nft", limit)
        measured = block.measure(ASKED | short | rates)
    row = measured.row
    assert row["status"] == "ok", row["reason"]
    assert 13_000_000 < row["no_drop_bits_per_s"] < 23_000_000
    assert row["no_drop_failed_bits_per_s"] > 19_000_000
    assert (row["no_drop_limited_by"], row["no_drop_confirmations"]) == ("loss", 2)
    assert [t["verdict"] for t in row["search_trials"]][:2] == ["loss", "pass"]
    assert row["search_trials"][-1]["confirms"]
    assert (row["traffic"], row["loss_percent_max"]) == ("no-drop-stream", 2)
    assert row["throughput_bits_per_s"] == pytest.approx(row["no_drop_bits_per_s"], rel=0.05)
