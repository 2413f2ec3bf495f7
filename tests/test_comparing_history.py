"""`cnibench history`: the campaign from which on a cell changed, and what differed in it."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.comparing.history import Point, change_points, read_points
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.store import open_store, write_rows
from tests.store_rows import full, put_campaign
from tests.test_comparing import CELL, put_block

KERNELS = ("6.17", "6.18")


def series(*levels: float, length: int = 12, seed: int = 1) -> list[Point]:
    dice = random.Random(seed)
    values = [level * dice.gauss(1, 0.02) for level in levels for _ in range(length)]
    return [Point(f"c{n:02}", value, {}) for n, value in enumerate(values)]


def test_each_step_is_found_with_the_first_campaign_after_it() -> None:
    changes = change_points(series(10, 9, 10.5))
    assert [change.campaign for change in changes] == ["c12", "c24"]
    assert [change.ratio for change in changes] == pytest.approx([0.9, 1.167], rel=0.02)


def test_noise_alone_is_seldom_a_change() -> None:
    alarms = sum(bool(change_points(series(10, length=20, seed=seed))) for seed in range(50))
    assert alarms <= 3


def test_few_campaigns_show_nothing() -> None:
    assert change_points(series(10, 5, length=4)) == []


def test_what_differed_in_the_fingerprint_stands_beside_the_change(tmp_path: Path) -> None:
    folder = str(tmp_path / "results")
    store = open_store(folder)
    for number in range(12):
        after = number >= 6
        name, moment = f"night-{number:02}", datetime(2026, 1, 1, tzinfo=UTC)
        put_campaign(store, name, created_at=moment + timedelta(days=number))
        same = {"campaign": name, "block": "a.base.r1", "install_id": "install-1"}
        node = full("nodes", **same, node="n", kernel=KERNELS[after])
        write_rows(store, "nodes", [node], campaign=name, block="a.base.r1", install_id="install-1")
        put_block(store, "a", 1, (8 if after else 10) + 0.01 * number, campaign=name)
    arguments = ["history", "a", CELL, "--store", folder, "--format", "json"]
    (change,) = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert (change["campaign"], change["differed"]) == ("night-06", {"kernel": list(KERNELS)})
    wrong = CliRunner().invoke(app, ["history", "b", CELL, "--store", folder])
    assert isinstance(wrong.exception, InputError)


def test_numbers_of_another_kind_are_no_part_of_a_history(tmp_path: Path) -> None:
    folder = str(tmp_path / "results")
    store = open_store(folder)
    for number in range(13):
        name, moment = f"night-{number:02}", datetime(2026, 1, 1, tzinfo=UTC)
        method, kind = 1 if number < 3 else 2, "imported" if number == 12 else "single-kernel"
        put_campaign(store, name, created_at=moment + timedelta(days=number), method_version=method)
        put_block(store, "a", 1, 8 if number < 3 else 10, campaign=name, environment_class=kind)
    points, others = read_points(open_database(store), "a", "base", CELL, "throughput")
    assert [point.campaign for point in points] == [f"night-{n:02}" for n in range(3, 12)]
    assert others == {"single-kernel, method 1": 3, "imported, method 2": 1}
    said = CliRunner().invoke(app, ["history", "a", CELL, "--store", folder]).stdout
    assert "left out: 3 campaigns of single-kernel, method 1" in said
