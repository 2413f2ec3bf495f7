"""Views that are kept for each campaign say what they would say if they were not."""

import os
from pathlib import Path

import duckdb
import pytest

from steps.lib.database import open_database
from steps.lib.kept import KEPT
from steps.lib.sql import VIEWS
from steps.lib.store import Store, open_store, write_rows
from tests.store_rows import full, measurement, put_campaign, put_measurement
from tests.test_comparing import CELL, SAME, SLOW, put_block

RR = {"traffic": "tcp-rr", "transactions_per_s": 1000.0, "latency_us_p99": 9.0}


def plain(database: duckdb.DuckDBPyConnection, view: str) -> list[tuple[object, ...]]:
    text = (VIEWS / f"{view}.sql").read_text(encoding="utf-8")
    return database.execute(f"from ({text}) order by all").fetchall()


def kept(database: duckdb.DuckDBPyConnection, view: str) -> list[tuple[object, ...]]:
    return database.execute(f"from {view} order by all").fetchall()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "results"))
    for campaign in ("night-1", "night-2"):
        put_campaign(store, campaign)
        asked = {"campaign": campaign, "plugin": "a", "profile": "base", "role": "cell"}
        rows = [full("planned", **asked, cell=cell) for cell in (CELL, "cross-node.rr")]
        write_rows(store, "planned", rows, campaign=campaign)
        put_measurement(store, measurement("cross-node.rr", campaign, campaign=campaign, **RR))
        for repeat, rates in enumerate(zip(SAME, SLOW, strict=True), 1):
            for plugin, rate in zip("ab", rates, strict=True):
                put_block(store, plugin, repeat, rate, campaign=campaign)
    return store


@pytest.mark.parametrize("view", KEPT)
def test_a_kept_view_has_the_rows_and_types_of_its_sql(store: Store, view: str) -> None:
    database = open_database(store)
    assert kept(database, view) == plain(database, view) != []
    text = (VIEWS / f"{view}.sql").read_text(encoding="utf-8")
    types = [database.sql(f"from {source}").types for source in (view, f"({text})")]
    assert types[0] == types[1]
    assert "read_parquet" in str(
        database.execute("select sql from duckdb_views() where view_name = ?", [view]).fetchone()
    )


@pytest.mark.parametrize("view", KEPT)
def test_what_comes_later_is_in_it_and_files_that_are_gone_come_again(
    store: Store, view: str
) -> None:
    before = {path: path.stat().st_ino for path in files_after_opening(store, view)}
    assert len(before) == 2
    for path in before:
        os.utime(path, (0, 0))  # Nobody has opened it for a long time.
    put_block(store, "a", 9, 10.0, campaign="night-1", cell="same-node.tcp")
    after = {path: path.stat().st_ino for path in files_after_opening(store, view)}
    changed = after.keys() - before.keys()
    assert {path.parent.name for path in changed} == {"campaign=night-1"}
    (unchanged,) = before.keys() & after.keys()
    assert (before[unchanged], unchanged.parent.name) == (after[unchanged], "campaign=night-2")
    assert unchanged.stat().st_mtime > 0, "it was opened again"
    for path in changed:
        path.unlink()
    database = open_database(store)
    assert kept(database, view) == plain(database, view)
    assert all(path.exists() for path in changed)


def test_where_nothing_can_be_kept_questions_are_answered_all_the_same(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.cache.mkdir(parents=True)
    (store.cache / KEPT[0]).write_text("in the way")
    database = open_database(store)
    assert kept(database, KEPT[0]) == plain(database, KEPT[0]) != []
    assert "nothing is kept" in caplog.text


def files_after_opening(store: Store, view: str) -> list[Path]:
    open_database(store).close()
    return sorted((store.cache / view).rglob("*.parquet"))


def test_a_store_without_a_campaign_has_empty_views(tmp_path: Path) -> None:
    database = open_database(open_store(str(tmp_path / "empty")))
    assert [kept(database, view) for view in KEPT] == [[]] * len(KEPT)
