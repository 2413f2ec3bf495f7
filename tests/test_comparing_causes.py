"""`cnibench compare` where something else than the sides explains what is seen.

Drift of the machine, a link or a stated rate that decides, a load beside the cell.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from steps.lib.store import Store, open_store, write_rows
from tests.store_rows import full, put_campaign
from tests.test_comparing import NO_IDLE, SAME, compare, fill, put_block


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "results")


def put_nights(store: Store, sides: dict[str, tuple[str, float]]) -> None:
    """Six blocks of each campaign: plugin and level, of which cell and reference are both."""
    dice = random.Random(1)
    for campaign in sides:
        put_campaign(store, campaign, method_version=2)
    for repeat in range(1, 7):
        for campaign, (plugin, level) in sides.items():
            named = {"campaign": campaign, "reference": 20 * level}
            put_block(store, plugin, repeat, 10 * level * dice.gauss(1, 0.01), **named)


def test_drift_that_the_references_show_is_taken_out(folder: str) -> None:
    put_nights(open_store(folder), {"night-1": ("a", 1.0), "night-2": ("a", 0.7)})
    _, (line,), _ = compare(folder, "night-1", "night-2")
    assert (line["verdict"], line["notes"]) == ("equal", ["drift removed"])


def test_what_a_plugin_does_to_the_nodes_own_path_is_no_drift(folder: str) -> None:
    put_nights(open_store(folder), {"night-1": ("a", 1.0), "night-2": ("b", 0.7)})
    _, (line,), _ = compare(folder, "plugin=a", "plugin=b")
    assert (line["verdict"], line["notes"]) == ("regressed", [])


def test_what_another_version_does_to_the_nodes_own_path_is_no_drift(folder: str) -> None:
    store = open_store(folder)
    put_nights(store, {"night-1": ("a", 1.0), "night-2": ("a", 0.7)})
    for campaign, version in (("night-1", "1.0"), ("night-2", "2.0")):
        same = {"campaign": campaign, "block": "a.base.r1", "install_id": "install-1"}
        block = full("blocks", **same, plugin="a", status="ok", plugin_version=version)
        write_rows(store, "blocks", [block], **same)
    _, (line,), _ = compare(folder, "night-1", "night-2")
    assert (line["verdict"], line["notes"]) == ("regressed", [])


def test_what_a_profile_does_to_the_references_too_is_no_drift(folder: str) -> None:
    store = open_store(folder)
    put_campaign(store, method_version=2)
    dice = random.Random(1)
    for repeat in range(1, 7):
        for profile, level in (("base", 1.0), ("tuned", 1.3)):
            named = {"profile": profile, "block": f"a.{profile}.r{repeat}"}
            rate = 10 * level * dice.gauss(1, 0.01)
            put_block(store, "a", repeat, rate, reference=20 * level, **named)
    _, (line,), _ = compare(folder, "base", "tuned")
    assert (line["verdict"], line["notes"]) == ("improved", [])


def test_cells_that_fill_the_link_are_compared_by_cpu(folder: str) -> None:
    store = open_store(folder)
    put_campaign(store, method_version=2)
    for plugin, busy in (("a", 10.0), ("b", 14.0)):
        for repeat in range(1, 6):
            cost = {"cpu_busy_s": busy + 0.1 * repeat, "cpu_window_s": 10.0, **NO_IDLE}
            put_block(store, plugin, repeat, 9.8, **cost)
    _, (line,), _ = compare(folder, "a", "b", "--link", "10")
    assert (line["metric"], line["verdict"]) == ("cpu", "regressed")
    assert compare(folder, "a", "b")[1][0]["metric"] == "throughput"


BOUND = "bound by the link or a stated rate"


def test_cells_that_fill_the_link_without_cpu_on_record_say_so(folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SAME})
    _, (line,), _ = compare(folder, "a", "b", "--link", "10")
    assert (line["metric"], line["notes"]) == (
        "throughput",
        [f"{BOUND}: no CPU of its own is known"],
    )


NO_STREAM = {"traffic": "tcp-rr", "throughput_bits_per_s": None, "transactions_per_s": 1000.0}


@pytest.mark.parametrize(
    ("stated", "bound"),
    [
        ({"offered_bits_per_s": 10_000_000_000}, True),
        ({"offered_bits_per_s": 5_000_000_000, "pairs": 2}, True),
        ({"offered_bits_per_s": 10_000_000_000, "pairs": 2}, False),
        ({"offered_bits_per_s": 10**10, "throughput_reverse_bits_per_s": 9.9e9}, True),
        ({"offered_bits_per_s": 10**10, "throughput_reverse_bits_per_s": 2e9}, False),
        ({"offered_bits_per_s": 10_000_000_000, "traffic": "no-drop-stream"}, False),
        ({"offered_transactions_per_s": 1000, **NO_STREAM}, True),
        ({"offered_transactions_per_s": 2000, **NO_STREAM}, False),
    ],
)
def test_cells_at_their_stated_rate_are_compared_by_cpu(
    folder: str, stated: dict[str, Any], bound: bool
) -> None:
    cost = {"cpu_busy_s": 5.0, "cpu_window_s": 10.0, **NO_IDLE}
    fill(open_store(folder), {"a": (10.0, 9.99), "b": (9.98, 9.99)}, **stated, **cost)
    _, (line,), _ = compare(folder, "a", "b")
    assert (line["metric"] == "cpu") == (line["notes"] == [f"{BOUND}: compared by CPU"]) == bound


def test_the_cpu_of_a_load_is_not_charged_to_the_cell(folder: str) -> None:
    cost = {"cpu_busy_s": 5.0, "cpu_window_s": 10.0, "load_streams": 1, **NO_IDLE}
    fill(open_store(folder), {"a": SAME, "b": SAME}, **cost)
    status, _, said = compare(folder, "a", "b", "--metric", "cpu")
    assert (status, "no cell of these sides has cpu" in said) == (2, True)
    _, (line,), _ = compare(folder, "a", "b", "--link", "10")
    assert (line["metric"], line["notes"]) == (
        "throughput",
        [f"{BOUND}: no CPU of its own is known"],
    )


def test_a_block_that_failed_and_drifted_is_in_no_comparison(folder: str) -> None:
    store = open_store(folder)
    fill(store, {"a": SAME, "b": SAME})
    document = '{"matrix": {"limits": {"drift_percent_max": 25}}}'
    put_campaign(store, "night-2", method_version=2, document=document)
    for repeat in (1, 2, 3):
        same = {"campaign": "night-2", "block": f"b.base.r{repeat}", "install_id": f"i{repeat}"}
        put_block(store, "b", repeat, 10.0, **same)
        ratio = 0.7 if repeat == 3 else 0.8
        row = full("blocks", **same, plugin="b", status="failed", drift_ratio=ratio)
        write_rows(store, "blocks", [row], **same)
    _, (line,), _ = compare(folder, "a", "plugin=b,campaign=night-2")
    assert line["blocks"] == [5, 2]
