"""A campaign of several blocks: one after the other, whatever becomes of the one before."""

import json
from dataclasses import dataclass

import pytest

from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from tests.lab.on_argo.argo import (
    LONG,
    SMALL,
    Argo,
    Document,
    in_mid_cell,
    messages,
    nodes,
    select,
    tcp_sack,
    without,
)

pytestmark = pytest.mark.lab

NAME = "many-blocks"
CHOSEN = {"plugins": "host-network", "profiles": "sack-off", "matrix": "smoke", "repeats": "2"}


@dataclass(frozen=True)
class Ran:
    """A campaign after its end, and its blocks in the order in which they were begun.

    ``left`` is a setting of its profile on the target's nodes, after the first block.
    """

    campaign: Document
    blocks: list[Document]
    left: list[str]


@pytest.fixture(scope="module")
def ran(argo: Argo) -> Ran:
    """Its first block cannot be made at first, is then lost from sight, then stopped in tuning."""

    def following() -> list[Document]:
        return nodes(argo.workflow(campaign), "run-block")

    # As an API server that has just started, which knows no roles yet.
    with without(argo, "rolebinding", "cnibench-campaign"):
        campaign = argo.submit("cnibench-campaign", name=NAME, **CHOSEN)
        argo.until(lambda: any(n["phase"] == "Failed" for n in following()), "no block is made")
    argo.until(lambda: any(n["phase"] == "Running" for n in following()), "a block is followed")
    argo.until(lambda: bool(argo.blocks(campaign)), "a block is made")
    (first,) = argo.blocks(campaign)
    tries = len(following())
    pods = f"workflows.argoproj.io/workflow={campaign}"
    argo.kubectl("delete", "pod", "-n", "argo", "-l", pods, "--field-selector=status.phase=Running")
    argo.until(lambda: len(following()) > tries, "it is followed again")
    block = first["metadata"]["name"]
    argo.until(lambda: "0" in tcp_sack(argo), "a node's setting is changed", every_s=0.05)
    argo.tell(block, "stop")
    argo.end(block)
    left = tcp_sack(argo)
    ended = argo.end(campaign)
    return Ran(ended, argo.blocks(campaign), left)


def test_a_block_is_made_once_and_followed_to_its_end(ran: Ran) -> None:
    """Whether it could not be made at first, or the pod that waits for it was lost."""
    *refused, lost, followed, last = nodes(ran.campaign, "run-block")
    assert refused
    assert all("cannot get resource" in n["message"] for n in refused)
    assert "pod deleted" in lost["message"] or "context canceled" in lost["message"]
    assert "failure condition" in followed["message"], "a block that failed is not run again"
    assert last["phase"] == "Succeeded"
    assert len(ran.blocks) == 2


def test_a_block_that_is_stopped_in_mid_tuning_puts_settings_and_plugin_back(ran: Ran) -> None:
    first, _ = ran.blocks
    assert first["status"]["message"] == "Stopped with strategy 'Stop'"
    for stage in ("restore-nodes", "remove-plugin"):
        assert nodes(first, stage)[-1]["phase"] == "Succeeded", messages(first)
    assert ran.left == ["1", "1"]


def test_its_blocks_are_in_the_planned_order_and_never_two_at_once(argo: Argo, ran: Ran) -> None:
    first, second = (block["status"] for block in ran.blocks)
    assert first["phase"] == "Failed"
    assert first["finishedAt"] <= second["startedAt"]
    planned = nodes(ran.campaign, "plan-blocks")[-1]["outputs"]["parameters"]
    (order,) = (json.loads(p["value"]) for p in planned if p["name"] == "blocks")
    begun = [block["spec"]["arguments"]["parameters"] for block in ran.blocks]
    assert [next(p["value"] for p in of if p["name"] == "block") for of in begun] == order


def test_a_failed_block_stops_no_other_and_fails_its_campaign(
    argo: Argo, api: Api, ran: Ran
) -> None:
    _, second = ran.blocks
    assert second["status"]["phase"] == "Succeeded", messages(second)
    assert [n["progress"] for n in nodes(second, "run-cells")] == ["3/3"]
    assert ran.campaign["status"]["phase"] == "Failed"
    (report,) = nodes(ran.campaign, "write-report")
    shown = argo.artifact(ran.campaign, report, "report").data.decode()
    assert "it was ended before" in shown, "the report says what became of the first"
    blocks = f"select status from blocks where campaign = '{NAME}' order by started_at"
    assert select(argo, blocks) == [("failed",), ("ok",)]
    assert api.get(api.core.read_namespace, NAMESPACE) is None


@pytest.mark.skipif(not LONG, reason="a campaign more: CNIBENCH_LAB_LONG=1 asks for it")
def test_a_campaign_that_is_terminated_leaves_its_block_to_end_and_the_next_one_cleans_up(
    argo: Argo, api: Api
) -> None:
    chosen = {"plugin": "host-network", "name": "terminated"}
    campaign, block = in_mid_cell(argo, api, chosen)
    argo.tell(campaign, "terminate")
    assert argo.end(campaign)["status"]["phase"] == "Failed"
    ended = argo.end(block)
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    assert api.get(api.core.read_namespace, NAMESPACE) is not None, "nobody has left the target"
    again = argo.end(argo.submit("cnibench-plugin", **SMALL | chosen))
    assert again["status"]["phase"] == "Succeeded", messages(again)
    assert nodes(again, "run-block") == [], "the block was measured"
    assert api.get(api.core.read_namespace, NAMESPACE) is None
