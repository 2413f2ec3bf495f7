"""MinIO itself as a store: the same answers from it as from a directory, single or collected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.database import open_database
from steps.lib.store import Store, collect, open_store
from tests.minio import minio_server
from tests.test_sql import answers, assert_same, put_campaigns

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an empty bucket, which is found by the environment."""
    folder = tmp_path_factory.mktemp("minio")
    with minio_server(folder) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield f"s3://{server.new_bucket()}"


def collected(store: Store) -> dict[str, bytes]:
    """Every collected object, after each campaign was collected."""
    for (campaign,) in open_database(store).execute("select campaign from campaigns").fetchall():
        collect(store, campaign)
    return {stored.key: store.read(stored.key) for stored in store.objects("collected/")}


def test_every_question_has_the_same_rows_in_a_directory_and_in_minio(
    minio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    stores = [open_store(address) for address in (str(tmp_path / "here"), f"{minio}/results")]
    for store in stores:
        put_campaigns(store, tmp_path)
    here, there = (answers(open_database(store)) for store in stores)
    assert_same(there, here)
    parts = collected(stores[1])
    assert parts
    assert collected(stores[1]) == parts, "collected again it is the same"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    assert_same(answers(open_database(stores[1])), here)


def test_the_same_objects_are_collected_into_the_same_bytes(
    minio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = (open_store(f"{minio}/{name}") for name in ("one", "other"))
    for store in (one, other):
        put_campaigns(store, tmp_path)
    assert collected(one) == collected(other) != {}
