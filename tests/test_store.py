"""What every store does, shown on a directory and on a real S3 server."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard

from steps.lib.errors import CnibenchError, InputError
from steps.lib.store import (
    NoSuchObjectError,
    Store,
    dataset,
    measured_cells,
    open_store,
    read_measurement,
    read_rows,
    write_rows,
)
from steps.lib.store.keys import MARKER, key
from steps.lib.tables import SCHEMA_VERSION, schema
from tests.store_rows import full, measurement, put_campaign, put_measurement

pytest_plugins = ["tests.seaweedfs"]

WRITERS = 16


@pytest.fixture
def store(address: str) -> Store:
    return open_store(address)


def test_an_object_is_created_once_and_never_changed(store: Store) -> None:
    assert store.create("raw/one", b"first")
    assert not store.create("raw/one", b"second")
    assert store.read("raw/one") == b"first"
    assert store.exists("raw/one")


def test_of_many_writers_exactly_one_wins(store: Store) -> None:
    contents = [bytes([n]) * 100_000 for n in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(lambda data: store.create("raw/contended", data), contents))
    assert won.count(True) == 1
    assert store.read("raw/contended") == contents[won.index(True)]


def test_objects_are_listed_below_a_prefix(store: Store) -> None:
    names = ["a/x/1", "a/x/2", "a/y", "b/1"]
    for name in reversed(names):
        store.create(name, name.encode())
    assert [found.key for found in store.objects("a/")] == names[:3]
    assert [found.key for found in store.objects("a/x/")] == names[:2]
    assert store.objects("nothing/") == []
    assert [found.size for found in store.objects("b/")] == [3]


def test_an_object_that_is_not_there(store: Store) -> None:
    assert not store.exists("raw/none")
    with pytest.raises(NoSuchObjectError, match="no object raw/none"):
        store.read("raw/none")


def test_the_store_proves_to_be_create_only_and_leaves_nothing_of_the_proof(store: Store) -> None:
    store.probe()
    assert [found.key for found in store.objects("")] == [MARKER]


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    assert put_campaign(store, "demo", title="Größe – “x”", method_version=1)
    rows = read_rows(store, "campaigns", campaign="demo")
    assert rows == [full("campaigns", campaign="demo", title="Größe – “x”", method_version=1)]
    assert not put_campaign(store, "demo", title="other")
    assert read_rows(store, "campaigns", campaign="other") == []


def test_a_measurement_comes_with_its_parts(store: Store) -> None:
    row = measurement()
    assert put_measurement(store, row)
    assert read_measurement(store, "demo", "a.base.r1", "cross-node.tcp") == full(
        "measurements", **row
    )
    assert read_measurement(store, "demo", "a.base.r1", "other") is None
    assert measured_cells(store, "demo", "a.base.r1") == {"cross-node.tcp"}
    assert measured_cells(store, "demo", "other") == frozenset()
    raw = store.read("raw/campaign=demo/block=a.base.r1/cross-node.tcp.first.json.zst")
    assert zstandard.ZstdDecompressor().decompress(raw) == b"the tool's own words"


def test_the_first_measurement_of_a_cell_stays(store: Store) -> None:
    assert put_measurement(store, measurement(attempt="first"))
    assert not put_measurement(store, measurement(attempt="second", throughput_bits_per_s=1.0))
    row = read_measurement(store, "demo", "a.base.r1", "cross-node.tcp")
    assert row is not None
    assert row["measurement_id"] == "first"


def test_a_dataset_has_the_columns_of_the_table(store: Store) -> None:
    assert dataset(store, "measurements").to_table().num_rows == 0
    put_measurement(store, measurement("one"))
    put_measurement(store, measurement("two"))
    store.create("measurements/campaign=demo/block=x/empty.parquet", b"")
    found = dataset(store, "measurements")
    assert found.schema.equals(schema("measurements"))
    assert sorted(found.to_table(columns=["cell"]).column("cell").to_pylist()) == ["one", "two"]
    assert dataset(store, "intervals").to_table().num_rows == 6


def test_a_store_of_a_newer_cnibench_is_refused(address: str, store: Store) -> None:
    later = open_store(f"{address}/later")
    assert json.loads(later.read(MARKER))["schema"] == SCHEMA_VERSION
    for folder, mark, complaint in (
        ("newer", b'{"schema": 99, "cnibench": "4.2.0"}', "use cnibench 4.2.0 or newer"),
        ("damaged", b"", "is damaged"),
        ("wrong", b'{"schema": null}', "is damaged"),
    ):
        store.create(f"{folder}/{MARKER}", mark)
        with pytest.raises(InputError, match=complaint):
            open_store(f"{address}/{folder}", create=False)


def test_a_store_that_is_only_read_is_not_made(address: str) -> None:
    store = open_store(address, create=False)
    assert store.objects("") == []
    assert read_rows(store, "campaigns", campaign="demo") == []


BAD_ROWS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("a column is missing", lambda row: row.pop("title"), r"\['title'\]"),
    ("a column is unknown", lambda row: row.update(titel="x"), r"\['titel'\]"),
    ("a number is none", lambda row: row.update(title=float("nan")), "title is nan"),
    ("a type is wrong", lambda row: row.update(method_version="x"), "column method_version is int"),
    ("a number is too large", lambda row: row.update(method_version=2**70), "method_version"),
]


@pytest.mark.parametrize(("name", "spoil", "complaint"), BAD_ROWS, ids=[b[0] for b in BAD_ROWS])
def test_a_row_that_does_not_fit_is_our_own_error(
    tmp_path: Any, name: str, spoil: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    store = open_store(str(tmp_path / "results"))
    row = full("campaigns", campaign="demo")
    spoil(row)
    with pytest.raises(CnibenchError, match=complaint) as caught:
        write_rows(store, "campaigns", [row], campaign="demo")
    assert caught.value.exit_code == 70, name
    assert store.objects("campaigns/") == []


def test_a_measurement_that_does_not_fit_leaves_nothing_behind(tmp_path: Any) -> None:
    store = open_store(str(tmp_path / "results"))
    with pytest.raises(CnibenchError, match="repeat"):
        put_measurement(store, measurement(repeat="one"))
    incomplete = measurement()
    del incomplete["status"]
    with pytest.raises(CnibenchError, match="status"):
        put_measurement(store, incomplete)
    assert [found.key for found in store.objects("")] == [MARKER]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a=b", "ü"])
def test_a_name_that_is_not_safe_makes_no_key(name: str) -> None:
    with pytest.raises(CnibenchError, match="not safe"):
        key("campaigns", campaign=name)


def test_a_key_takes_exactly_its_identities() -> None:
    with pytest.raises(CnibenchError, match="needs"):
        key("campaigns", campaign="demo", block="x")


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("", "is empty"), ("gs://bucket", "gs:// is not known"), ("s3:///x", "names no bucket")],
)
def test_an_address_that_names_no_store(address: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        open_store(address)
