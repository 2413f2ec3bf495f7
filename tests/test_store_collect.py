"""Collecting adds large objects and takes nothing away; readers see every row once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.database import open_database
from steps.lib.store import Store, collect, collected, open_store
from steps.lib.store.directory import DirectoryStore
from steps.lib.store.parquet import encode
from steps.lib.store.s3 import S3Store
from tests.store_rows import full, measurement, put_campaign, put_measurement

pytest_plugins = ["tests.seaweedfs"]

CELLS = 12


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for every three objects or so."""
    monkeypatch.setattr(collected, "PART_BYTES", 3000)


@pytest.fixture
def directory(tmp_path: Path) -> Store:
    return filled(str(tmp_path / "results"))


def filled(address: str) -> Store:
    store = open_store(address)
    put_campaign(store)
    for number in range(CELLS):
        put_measurement(store, measurement(f"cell-{number:02}"))
    return store


def parts_of(store: Store) -> dict[str, bytes]:
    return {stored.key: store.read(stored.key) for stored in store.objects("collected/")}


def forget_parts(store: Store) -> None:
    for key in parts_of(store):
        if isinstance(store, S3Store):
            store.client.remove_object(store.bucket, store.prefix + key)
        else:
            (Path(store.address) / key).unlink()


def seen(store: Store) -> dict[str, Any]:
    """All rows, by a reader who has read nothing before."""
    for copy in store.cache.glob("*/campaign=*/*"):
        copy.unlink()
    database = open_database(store)
    return {
        table: database.execute(f"select * from {table} order by all").fetchall()
        for table in ("campaigns", "measurements", "intervals", "histograms")
    }


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    original = DirectoryStore.read

    def reading(self: DirectoryStore, key: str) -> bytes:
        read.append(key)
        return original(self, key)

    monkeypatch.setattr(DirectoryStore, "read", reading)
    return read


@pytest.mark.usefixtures("small_parts")
def test_what_is_collected_is_seen_once_and_the_same(address: str) -> None:
    store = filled(address)
    before = seen(store)
    assert len(before["intervals"]) == 3 * CELLS
    found = {c.table: (c.before, c.new, c.left) for c in collect(store, "demo")}
    assert found["measurements"] == (0, CELLS, 0)
    assert found["campaigns"] == (0, 0, 1), "one object is as quickly read where it is"
    assert len(parts_of(store)) > 4
    assert seen(store) == before


def test_a_reader_takes_parts_instead_of_objects(
    directory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(directory, "demo")
    put_measurement(directory, measurement("later"))
    read = reads(monkeypatch)
    assert len(seen(directory)["measurements"]) == CELLS + 1
    single = [key for key in read if "/cell-" in key or "/later" in key]
    assert len(single) == 3, "the later cell's row, intervals and histogram"


@pytest.mark.usefixtures("small_parts")
def test_collecting_twice_adds_nothing_and_anew_gives_the_same_bytes(address: str) -> None:
    store = filled(address)
    collect(store, "demo")
    first = parts_of(store)
    assert all(c.new == 0 for c in collect(store, "demo"))
    assert parts_of(store) == first
    forget_parts(store)
    collect(store, "demo")
    assert parts_of(store) == first


@pytest.mark.usefixtures("small_parts")
def test_a_collector_that_is_killed_loses_nothing_and_the_next_one_goes_on(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(address)
    before = seen(store)
    collect(store, "demo")
    whole = parts_of(store)
    forget_parts(store)
    written: Iterator[int] = iter(range(100))
    create = type(store).create

    def killed(self: Store, key: str, data: bytes) -> bool:
        if next(written) == 3:
            raise KeyboardInterrupt
        return create(self, key, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(store), "create", killed)
        collect(store, "demo")
    assert len(parts_of(store)) == 3
    assert seen(store) == before
    collect(store, "demo")
    assert parts_of(store) == whole
    assert seen(store) == before


def test_two_collectors_at_once_and_later_objects_are_seen_once(directory: Store) -> None:
    collect(directory, "demo")
    put_measurement(directory, measurement("later"))
    put_measurement(directory, measurement("last"))
    collect(directory, "demo")
    root = Path(directory.address) / "collected/measurements/campaign=demo"
    older, newer = sorted(root.iterdir(), key=lambda path: path.stat().st_size, reverse=True)
    both = pa.concat_tables([pq.read_table(p, partitioning=None) for p in (older, newer)])
    pq.write_table(both, root / "another-collectors.parquet")
    assert len(seen(directory)["measurements"]) == CELLS + 2


def test_what_was_removed_or_replaced_is_not_seen_as_it_was(directory: Store) -> None:
    collect(directory, "demo")
    folder = Path(directory.address) / "measurements/campaign=demo/block=a.base.r1"
    (folder / "cell-00.parquet").unlink()
    (folder / "cell-01.parquet").unlink()
    put_measurement(directory, measurement("cell-01", throughput_bits_per_s=2.0))
    database = open_database(directory)
    statement = "select cell, throughput_bits_per_s from measurements order by cell limit 2"
    assert database.execute(statement).fetchall() == [("cell-01", 2.0), ("cell-02", 10e9)]


def test_a_damaged_part_is_read_from_its_objects(directory: Store) -> None:
    before = seen(directory)
    collect(directory, "demo")
    for path in (Path(directory.address) / "collected").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-9])
    assert seen(directory) == before


def test_what_cannot_be_read_or_is_not_known_is_left_single(directory: Store) -> None:
    folder = Path(directory.address) / "measurements/campaign=demo/block=a.base.r1"
    whole = pq.read_table(folder / "cell-00.parquet", partitioning=None)
    pq.write_table(whole.append_column("power_w", pa.array([3.0])), folder / "cell-00.parquet")
    broken = encode("measurements", [full("measurements", **measurement("broken"))])[:-9]
    (folder / "broken.parquet").write_bytes(broken)
    found = {c.table: (c.new, c.left) for c in collect(directory, "demo")}
    assert found["measurements"] == (CELLS - 1, 2)
    assert len(seen(directory)["measurements"]) == CELLS


def test_the_verb_says_what_became_of_each_table(directory: Store) -> None:
    found = CliRunner().invoke(app, ["collect", "--store", directory.address])
    assert found.exit_code == 0, found.output
    assert "measurements" in found.stdout
    wrong = CliRunner().invoke(app, ["collect", "--store", directory.address, "--campaign", "dmo"])
    assert "did you mean 'demo'" in str(wrong.exception)
