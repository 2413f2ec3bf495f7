"""The tables of a store in SQL: what is seen, what is not, and what is left out as damaged."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from steps.lib.database import open_database, sql
from steps.lib.errors import InputError
from steps.lib.questions import ask, load_questions
from steps.lib.store import Store, collect, open_store, write_rows
from steps.lib.store.directory import DirectoryStore
from steps.lib.store.parquet import encode
from steps.lib.tables import TABLES
from tests.store_rows import full, measurement, parts, put_campaign, put_measurement

pytest_plugins = ["tests.seaweedfs"]


@pytest.fixture
def store(address: str) -> Store:
    return open_store(address)


@pytest.fixture
def directory(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "results"))


def values(store: Store, statement: str) -> list[Any]:
    return [row[0] for row in sql(open_database(store), statement)[1]]


def put_planned(store: Store, *cells: str) -> None:
    rows = [
        full("planned", campaign="demo", block="a.base.r1", role="cell", cell=cell, plugin="a",
             profile="base", repeat=1, path="cross-node", traffic="tcp-stream")
        for cell in cells
    ]  # fmt: skip
    write_rows(store, "planned", rows, campaign="demo")


def test_an_empty_store_has_every_table_with_its_columns(store: Store) -> None:
    database = open_database(store)
    for table, columns in TABLES.items():
        names, rows = sql(database, f"select * from {table}")
        assert (names, rows) == ([c.name for c in columns], []), table
    assert sql(database, "select * from comparable")[1] == []


def test_every_table_shows_its_rows(store: Store) -> None:
    put_campaign(store)
    put_planned(store, "one", "two")
    put_measurement(store, measurement("one"))
    for table in ("blocks", "nodes"):
        row = full(table, campaign="demo", block="a.base.r1", install_id="install-1")
        write_rows(store, table, [row], campaign="demo", block="a.base.r1", install_id="install-1")
    database = open_database(store)
    counts = {t: sql(database, f"select count(*) from {t}")[1][0][0] for t in TABLES}
    assert counts == {
        "campaigns": 1,
        "planned": 2,
        "blocks": 1,
        "nodes": 1,
        "measurements": 1,
        "intervals": 3,
        "histograms": 3,
    }


def test_questions_are_answered_from_the_store(store: Store) -> None:
    put_campaign(store, baseline_plugin="host")
    put_planned(store, "cross-node.tcp")
    put_measurement(store, measurement())
    database = open_database(store)
    for name in load_questions():
        assert ask(database, name).columns, name
    answer = ask(database, "fastest-plugin")
    assert dict(zip(answer.columns, answer.rows[0], strict=True))["rate_median"] == 10.0


def test_parts_of_attempts_that_are_not_the_measurement_are_not_seen(store: Store) -> None:
    put_measurement(store, measurement(attempt="first"))
    put_measurement(store, measurement(attempt="second"))
    killed = measurement("never-finished", attempt="third")
    identity = {n: killed[n] for n in ("campaign", "block", "cell", "measurement_id")}
    write_rows(store, "intervals", parts(killed, "intervals"), **identity)
    for table in ("intervals", "histograms"):
        assert values(store, f"select distinct measurement_id from {table}") == ["first"]


def test_parts_are_seen_as_soon_as_their_measurement_is_there(store: Store) -> None:
    row = measurement("one")
    identity = {name: str(row[name]) for name in ("campaign", "block", "cell", "measurement_id")}
    for table in ("intervals", "histograms"):
        write_rows(store, table, parts(row, table), **identity)
        assert values(store, f"select count(*) from {table}") == [0]
    put_measurement(store, row)
    for table in ("intervals", "histograms"):
        assert values(store, f"select count(*) from {table}") == [3]


def test_parts_that_are_not_seen_are_read_once(
    directory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in ("first", "second", "third"):
        put_measurement(directory, measurement(attempt=attempt))
    collect(directory, "demo")
    open_database(directory)
    put_measurement(directory, measurement("later"))
    read: list[str] = []
    original = DirectoryStore.read

    def reading(self: DirectoryStore, key: str) -> bytes:
        read.append(key)
        return original(self, key)

    monkeypatch.setattr(DirectoryStore, "read", reading)
    assert values(directory, "select count(*) from histograms") == [6]
    assert [key for key in read if "second" in key or "collected" in key] == []
    mixed = [
        *parts(measurement("later"), "histograms"),
        *parts(measurement("x", "y"), "histograms"),
    ]
    names = {"block": "a.base.r1", "cell": "several", "measurement_id": "several"}
    write_rows(directory, "histograms", mixed, campaign="demo", **names)
    assert values(directory, "select count(*) from histograms") == [9]
    put_measurement(directory, measurement("x", "y"))
    assert values(directory, "select count(*) from histograms") == [15]


def test_new_rows_are_seen_by_a_new_database(store: Store) -> None:
    statement = "select cell from measurements order by cell"
    put_measurement(store, measurement("one"))
    assert values(store, statement) == ["one"]
    put_measurement(store, measurement("two"))
    assert values(store, statement) == ["one", "two"]
    put_measurement(store, measurement("three", campaign="other"))
    assert values(store, statement) == ["one", "three", "two"]


def test_objects_that_were_removed_or_replaced_are_not_seen_as_they_were(directory: Store) -> None:
    statement = "select cell, throughput_bits_per_s from measurements order by cell"
    root = Path(directory.address)
    for cell in ("one", "two"):
        put_measurement(directory, measurement(cell))
    assert len(values(directory, statement)) == 2
    folder = root / "measurements/campaign=demo/block=a.base.r1"
    (folder / "one.parquet").unlink()
    assert values(directory, statement) == ["two"]
    (folder / "two.parquet").unlink()
    put_measurement(directory, measurement("two", throughput_bits_per_s=2.0))
    assert sql(open_database(directory), statement)[1] == [("two", 2.0)]


def test_what_was_read_once_is_not_read_again(
    directory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_measurement(directory, measurement("one"))
    open_database(directory)
    read: list[str] = []
    original = DirectoryStore.read

    def reading(self: DirectoryStore, key: str) -> bytes:
        read.append(key)
        return original(self, key)

    monkeypatch.setattr(DirectoryStore, "read", reading)
    open_database(directory)
    assert read == []
    put_measurement(directory, measurement("two"))
    assert values(directory, "select count(*) from measurements") == [2]
    assert len(read) == 3
    assert all("/two." in key for key in read)


def test_several_readers_may_open_the_store_at_once(directory: Store) -> None:
    for number in range(20):
        put_measurement(directory, measurement(f"cell-{number}"))
    with ThreadPoolExecutor(6) as pool:
        counts = pool.map(lambda _: values(directory, "select count(*) from intervals"), range(6))
    assert list(counts) == [[60]] * 6


GARBAGE = {
    "empty": b"",
    "text": b"an error page\n",
    "other-table": encode("campaigns", [full("campaigns", campaign="demo")])[:-9],
}


def test_damaged_objects_are_left_out_and_reported(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put_campaign(store)
    put_planned(store, "whole")
    put_measurement(store, measurement("whole"))
    for name, content in GARBAGE.items():
        store.create(f"measurements/campaign=demo/block=a.base.r1/{name}.parquet", content)
    store.create("blocks/campaign=demo/a.base.r1.x.parquet", b"")
    for _ in range(2):  # read, and taken from the copy
        with caplog.at_level(logging.WARNING, "cnibench"):
            caplog.clear()
            database = open_database(store)
        keys = [row[0] for row in sql(database, "select key from damaged_objects")[1]]
        assert sorted(Path(key).stem for key in keys) == sorted([*GARBAGE, "a.base.r1.x"])
        assert all(key in caplog.text for key in keys)
        assert sql(database, "select cell from measurements")[1] == [("whole",)]
        assert ask(database, "coverage").rows


def test_every_damaged_byte_is_noticed_or_harmless(directory: Store) -> None:
    whole = encode("measurements", [full("measurements", **measurement("x"))])
    for place in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        name = f"measurements/campaign=demo/block=a.base.r1/c{place}.parquet"
        directory.create(name, bytes(damaged))
    database = open_database(directory)
    assert values(directory, "select count(*) from damaged_objects")[0] > 0
    wrong = "select count(*) from measurements where throughput_bits_per_s != 10e9"
    assert sql(database, wrong)[1] == [(0,)]


def test_rows_of_an_older_cnibench_lack_columns_and_of_a_newer_one_have_more(
    directory: Store, tmp_path: Path
) -> None:
    put_measurement(directory, measurement("now"))
    folder = Path(directory.address) / "measurements/campaign=demo/block=a.base.r1"
    whole = pa.parquet.read_table(folder / "now.parquet", partitioning=None)
    cells = pa.array(["then"])
    older = whole.drop_columns(["cycles", "gates"]).set_column(0, "campaign", pa.array(["demo"]))
    older = older.set_column(older.schema.get_field_index("cell"), "cell", cells)
    newer = older.append_column("power_w", pa.array([3.0]))
    newer = newer.set_column(newer.schema.get_field_index("cell"), "cell", pa.array(["later"]))
    pa.parquet.write_table(older, folder / "then.parquet")
    pa.parquet.write_table(newer, folder / "later.parquet")
    found = sql(open_database(directory), "select cell, gates is null from measurements")[1]
    assert sorted(found) == [("later", True), ("now", False), ("then", True)]


def test_a_name_is_text_even_if_it_looks_like_a_number_or_a_date(directory: Store) -> None:
    for name in ("2026-11-24", "7", "007"):
        put_campaign(directory, name)
    found = values(directory, "select campaign from campaigns order by campaign")
    assert found == ["007", "2026-11-24", "7"]


def test_paths_with_unusual_characters(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "it's [odd]* and {so} on?"))
    put_campaign(store)
    put_measurement(store, measurement())
    assert values(store, "select campaign from campaigns") == ["demo"]
    assert values(store, "select count(*) from intervals") == [3]


def test_moments_are_utc_whatever_the_session_says(directory: Store) -> None:
    moment = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)
    put_campaign(directory, created_at=moment)
    database = open_database(directory)
    database.execute("set timezone = 'Asia/Tokyo'")
    assert sql(database, "select created_at from campaigns")[1] == [(moment.replace(tzinfo=None),)]


def test_sql_that_is_wrong_is_explained(directory: Store) -> None:
    database = open_database(directory)
    with pytest.raises(InputError, match='"plugn" not found'):
        sql(database, "select plugn from measurements")


def test_a_question_about_one_campaign_opens_only_its_files(directory: Store) -> None:
    for name in ("first", "second"):
        put_measurement(directory, measurement(campaign=name))
    database = open_database(directory)
    plan = _analyzed(database, "select max(cell) from measurements where campaign = 'second'")
    assert "Scanning Files: 1/2" in plan


def _analyzed(database: duckdb.DuckDBPyConnection, statement: str) -> str:
    return "".join(str(r[1]) for r in database.execute(f"explain analyze {statement}").fetchall())
