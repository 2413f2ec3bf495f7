"""The shortest matrix of the catalog, run as it is: nothing that was asked for gets lost."""

from collections import Counter
from pathlib import Path

import pytest

from steps.lib.catalog import Catalog
from steps.lib.database import open_database
from steps.lib.executor import run_campaign
from steps.lib.store import open_store
from tests.jobs import job

PLUGINS = ("host-network", "bridge-vxlan", "macvlan", "flannel-vxlan")


@pytest.mark.namespaces
def test_what_smoke_asks_for_is_measured_refused_or_unsupported_with_a_reason(
    tmp_path: Path,
) -> None:
    asked = job(PLUGINS, of=Catalog().matrices.load("smoke"), target="smoke")
    run_campaign(asked, str(tmp_path), lambda event: None)
    found = (
        open_database(open_store(str(tmp_path)))
        .execute("select plugin, path, status, reason from outcomes")
        .fetchall()
    )
    assert len(found) == len(PLUGINS) * len(asked.matrix.cells)
    statuses = Counter(status for _, _, status, _ in found)
    assert statuses["missing"] == 0
    assert statuses["unsupported"] == len(asked.matrix.cells) + len(PLUGINS) - 1
    assert sum(statuses.values()) == statuses["unsupported"] + 6
    assert all(reason for _, _, status, reason in found if status != "ok")
