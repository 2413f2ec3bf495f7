"""A campaign on Argo whose store is slow, then full: it is said, and with more room it goes on."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lab.layout import Lab
from steps.lib.store import measured_cells, read_measurement
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.namespaces import netns
from tests.lab.labs import MGMT
from tests.lab.minio import BUCKET, KEY, Server, slow_way, small_minio
from tests.lab.on_argo.argo import (
    LONG,
    SMALL,
    Argo,
    Document,
    in_the_middle,
    messages,
    nodes,
    without,
)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not LONG, reason="a campaign more: CNIBENCH_LAB_LONG=1 asks for it"),
]

NAME = "small-store"
BLOCK = "host-network.base.r1"
CHOSEN = SMALL | {"plugin": "host-network", "name": NAME, "store": f"s3://{BUCKET}"}
LATE_S = 1.5
(NODE,) = MGMT.nodes


@dataclass(frozen=True)
class Small:
    """A store of one campaign, on the network of the management cluster's node."""

    lab: Lab
    server: Server

    def cells(self) -> dict[str, dict[str, Any]]:
        """The row of each cell that is stored."""
        with netns.inside(self.lab.namespaces[NODE.name]):
            found = sorted(measured_cells(self.server.store, NAME, BLOCK))
            rows = [read_measurement(self.server.store, NAME, BLOCK, cell) for cell in found]
        return {row["cell"]: row for row in rows if row}


@contextmanager
def store_at(argo: Argo, place: tuple[str, int]) -> Iterator[None]:
    """Have stages find their store there."""
    host, port = place
    settings = {
        "CNIBENCH_S3_ENDPOINT": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
    }
    with without(argo, "secret", "cnibench-store") as secret:
        secret["data"] |= {n: base64.b64encode(v.encode()).decode() for n, v in settings.items()}
        argo.kubectl("apply", "-n", "argo", "-f", "-", given=json.dumps(secret))
        yield


@pytest.fixture(scope="module")
def ended(
    lab: Lab, argo: Argo, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Document, Small]]:
    """The block of a campaign, after it: its first cell was stored slowly, then there was no room.

    The store is still there.
    """
    with ExitStack() as stack:
        with netns.inside(lab.namespaces[NODE.name]):
            folder = tmp_path_factory.mktemp("minio")
            server = stack.enter_context(small_minio(folder, NODE.address))
            way = stack.enter_context(slow_way(NODE.address, server.place))
        stack.enter_context(store_at(argo, way.place))
        small = Small(lab, server)
        campaign, block = in_the_middle(argo, "run-cells", CHOSEN)
        way.late_s = LATE_S
        argo.until(lambda: bool(small.cells()), "a cell is stored", every_s=0.2)
        server.fill()
        way.late_s = 0.0
        ended = argo.end(block)
        argo.end(campaign)
        yield ended, small


def test_a_store_that_is_slow_and_then_full_is_said_in_words_and_keeps_what_it_has(
    api: Api, ended: tuple[Document, Small]
) -> None:
    block, small = ended
    assert block["status"]["phase"] == "Failed"
    said = nodes(block, "run-cells")[-1]["message"]
    for words in (
        "the server's disk is full; make room there and start again, what is stored is whole",
        "stored: 1 of 3 cells; the store was slow, or away: ",
    ):
        assert words in said
    assert nodes(block, "remove-plugin")[-1]["phase"] == "Succeeded", messages(block)
    assert api.get(api.core.read_namespace, NAMESPACE) is None, "the target is left as it was"
    assert len(small.cells()) == 1


def test_with_more_room_the_same_name_runs_what_is_missing(
    argo: Argo, ended: tuple[Document, Small]
) -> None:
    _, small = ended
    ((cell, before),) = small.cells().items()
    small.server.enlarge()
    campaign = argo.end(argo.submit("cnibench-plugin", **CHOSEN))
    (block,) = argo.blocks(campaign["metadata"]["name"])
    assert campaign["status"]["phase"] == "Succeeded", messages(campaign) + messages(block)
    (missing,) = nodes(block, "run-cells")
    assert "cells-2-3-of-3" in missing["displayName"]
    after = small.cells()
    assert len(after) == 3
    assert after[cell] == before, "what was stored is as it was"
