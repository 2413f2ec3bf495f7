"""Campaigns as people run them on a real Argo: by a form or a file, stopped, disturbed, resumed."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab import management
from lab.layout import ARGO, Lab
from steps.lib.database import open_database
from steps.lib.questions import ask
from steps.lib.store import collect, open_store
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.run_cells import NOTHING
from tests.lab import labs
from tests.lab.on_argo.argo import (
    ENDED,
    LONG,
    RENDERED,
    SMALL,
    STORE,
    TIMING,
    Argo,
    Document,
    in_mid_cell,
    in_the_middle,
    messages,
    nodes,
    select,
    tcp_sack,
)
from tests.lab.on_argo.browser import look

pytestmark = pytest.mark.lab

NAME = "by-the-form"
PATHS = ["cross-node", "pod-service", "same-node"]
AWAY_S = 120.0 if LONG else 30.0
"""How long MinIO is away."""

CHOSEN = SMALL | {"name": NAME}
TUNED = SMALL | {"plugin": "host-network", "profile": "sack-off", "name": "ended-in-tuning"}


@pytest.fixture(autouse=True)
def nothing_left(api: Api) -> Iterator[None]:
    """After each campaign nothing of ours is on the target."""
    yield
    assert api.get(api.core.read_namespace, NAMESPACE) is None


# ---------- blocks ended early, in each way; one campaign resumed, and disturbed
@dataclass(frozen=True)
class Ended:
    """A block that a person ended, after the end of its campaign, which had been stopped before.

    ``left`` is a setting of the profile on the target's nodes; ``cells`` are those of the campaign
    that are stored.
    """

    campaign: Document
    block: Document
    left: list[str]
    cells: int


# Each way at each stage, or the one that leaves most: a case is two minutes, and stopping a block
# in mid-tuning is seen in `test_many_blocks.py` as well.
EARLY = (("terminate", "tune-nodes"), ("stop", "tune-nodes"), ("stop", "run-cells"))
CASES = (*(EARLY if LONG else ()), ("terminate", "run-cells"))


@pytest.fixture(scope="module")
def untuned(argo: Argo) -> list[str]:
    """A setting that the profile changes, as the nodes of the target have it."""
    return tcp_sack(argo)


@pytest.fixture(scope="module")
def ended(argo: Argo, api: Api, untuned: object) -> dict[tuple[str, str], Ended]:
    """The same form sent off again and again, its block and its campaign ended by each verb.

    In mid-tuning it is that of one campaign, in mid-cell that of another one, of which a cell is
    stored before the last.
    """
    found = {}
    for verb, stage in CASES:
        if stage == "tune-nodes":
            chosen = TUNED
            campaign, block = in_the_middle(argo, stage, chosen, stopped=True)
            argo.until(lambda: "0" in tcp_sack(argo), "a node's setting is changed", every_s=0.05)
        else:
            chosen = CHOSEN
            stored = int(verb == "terminate")
            campaign, block = in_mid_cell(argo, api, chosen, stored=stored, stopped=True)
        argo.tell(block, verb)
        after = argo.end(block)
        its_campaign = argo.end(campaign)
        count = f"select count(*) from measurements where campaign = '{chosen['name']}'"
        ((cells,),) = select(argo, count)
        found[verb, stage] = Ended(its_campaign, after, tcp_sack(argo), cells)
    return found


@pytest.fixture(scope="module")
def ran(lab: Lab, argo: Argo, api: Api, ended: object) -> Document:
    """The same form sent off again; in mid-cell its pods are deleted, and the servers go away."""
    campaign, block = in_mid_cell(argo, api, CHOSEN)
    deployment = ("scale", "-n", "minio", "deployment/minio")
    argo.kubectl(*deployment, "--replicas=0")

    def bring_back() -> None:
        time.sleep(AWAY_S)
        argo.kubectl(*deployment, "--replicas=1")

    # A timer's failure is its own: without MinIO everything after it would fail, and not say why.
    with ThreadPoolExecutor() as threads:
        back = threads.submit(bring_back)
        argo.kubectl("delete", "pod", "-n", "argo", "-l", f"workflows.argoproj.io/workflow={block}")
        for app in ("workflow-controller", "argo-server"):
            at_once = ("--grace-period=0", "--force")
            argo.kubectl("delete", "pod", "-n", "argo", "-l", f"app={app}", *at_once)
        labs.run(lab, "restart-apiserver", "mgmt")
    back.result()
    labs.wait_until(lambda: management.complaint(argo.lab, labs.MGMT, ARGO) is None)
    return argo.end(campaign)


@pytest.fixture(scope="module")
def block(argo: Argo, ran: Document) -> Document:
    """Its only block."""
    (block,) = argo.blocks(ran["metadata"]["name"])
    return block


@pytest.mark.parametrize(("verb", "stage"), CASES)
def test_a_block_that_is_ended_early_says_by_what_and_its_nodes_are_as_before(
    ended: dict[tuple[str, str], Ended], untuned: list[str], verb: str, stage: str
) -> None:
    """Terminated, its exit handler does not run; its campaign's end puts back what it left."""
    case = ended[verb, stage]
    assert case.block["status"]["phase"] == "Failed"
    assert case.block["status"]["message"] == f"Stopped with strategy '{verb.title()}'"
    put_back = [n["phase"] for n in nodes(case.block, "remove-plugin")]
    assert ("Succeeded" in put_back) == (verb == "stop")
    assert set(untuned) == {"1"}
    assert case.left == untuned
    # A cell of a second may come to its end before Argo has ended its pod.
    few = {("stop", "run-cells"): (0, 1), ("terminate", "run-cells"): (1, 2)}
    assert case.cells in few.get((verb, stage), (0,))


@pytest.mark.parametrize(("verb", "stage"), CASES)
def test_stopping_a_campaign_leaves_its_block_alone_and_its_end_waits_for_it(
    ended: dict[tuple[str, str], Ended], verb: str, stage: str
) -> None:
    case = ended[verb, stage]
    (waited,) = nodes(case.campaign, "run-block")
    assert waited["finishedAt"] <= nodes(case.block, stage)[0]["startedAt"]
    assert case.block["status"]["finishedAt"] <= case.campaign["status"]["finishedAt"]


def test_resumed_it_runs_what_is_missing_although_pods_and_servers_go_away(
    argo: Argo, ended: dict[tuple[str, str], Ended], ran: Document, block: Document
) -> None:
    assert ran["status"]["phase"] == "Succeeded", messages(ran) + messages(block)
    cells = f"select path, status, reason from measurements where campaign = '{NAME}' order by path"
    found = select(argo, cells)
    assert [path for path, *_ in found] == PATHS, "each was measured, and once"
    assert [f for f in found if f[1] != "ok" and not f[2].startswith(TIMING)] == []
    assert any(status == "ok" for _, status, _ in found)
    missing = f"cells-{1 + ended['terminate', 'run-cells'].cells}-3-of-3"
    assert all(missing in n["displayName"] for n in nodes(block, "run-cells"))


def test_each_time_that_a_block_was_begun_is_on_record_with_how_it_ended(
    argo: Argo, ran: Document
) -> None:
    words = {"stop": "it was ended before ", "terminate": "interrupted before its end"}
    for chosen, stage in ((TUNED, "tune-nodes"), (CHOSEN, "run-cells")):
        rows = select(
            argo,
            "select status, coalesce(reason, ''), coalesce(residue, []) from blocks "
            f"where campaign = '{chosen['name']}' order by started_at",
        )
        cases = [verb for verb, of in CASES if of == stage]
        assert len(rows) == len(cases) + (chosen == CHOSEN), rows
        for verb, (status, reason, residue) in zip(cases, rows[: len(cases)], strict=True):
            assert (status, words[verb] in reason, residue) == ("failed", True, []), reason
        assert [row[0] for row in rows[len(cases) :]] == (["ok"] if chosen == CHOSEN else [])


def test_the_same_questions_are_answered_from_there(argo: Argo, ran: Document) -> None:
    with argo.at_hand():
        assert ask(open_database(open_store(STORE)), "fastest-plugin", NAME).rows


def test_its_objects_are_collected_by_a_key_that_may_not_delete_and_once(
    argo: Argo, ran: Document
) -> None:
    (stage,) = nodes(ran, "collect-campaign")
    assert stage["phase"] == "Succeeded"
    with argo.at_hand():
        store = open_store(STORE)
        parts = store.objects(f"collected/measurements/campaign={NAME}/")
        assert len(parts) == 1
        assert [found for found in collect(store, NAME) if found.new] == []
        assert store.objects(parts[0].key.rpartition("/")[0] + "/") == parts


def test_a_block_shows_what_it_is_and_how_far_its_cells_are(block: Document) -> None:
    metadata = block["metadata"]
    labels = {n.removeprefix("cnibench/"): v for n, v in metadata["labels"].items() if "cnib" in n}
    assert (labels["plugin"], labels["profile"]) == ("bridge-routes", "base")
    assert (labels["campaign"], labels["target"], labels["repeat"]) == (NAME, "lab", "r1")
    title = metadata["annotations"]["workflows.argoproj.io/title"]
    assert title == "bridge-routes.base.r1 on lab"
    cells = nodes(block, "run-cells")[-1]
    assert "-of-3" in cells["displayName"]
    done, _, total = cells["progress"].partition("/")
    assert done == total
    assert cells["outputs"]["parameters"][0]["value"]


def test_a_workflow_object_stays_small(block: Document) -> None:
    assert len(json.dumps(block)) < 150_000


def test_logs_outlive_their_pods(argo: Argo, block: Document) -> None:
    log = argo.artifact(block, nodes(block, "run-cells")[-1], "main-logs").data.decode()
    # What was measured while the store was away may be known to no pod that came to its end.
    assert "cell=" in log or NOTHING in log
    assert "Traceback" not in log


def test_the_report_looks_in_the_ui_as_it_does_without_its_content_policy(
    argo: Argo, ran: Document, tmp_path: Path
) -> None:
    (report,) = nodes(ran, "write-report")
    shown = argo.artifact(ran, report, "report")
    assert shown.status == 200
    assert "text/html" in shown.headers["Content-Type"]
    policy = {n: shown.headers[n] for n in ("Content-Type", "Content-Security-Policy")}
    assert "default-src 'none'" in policy["Content-Security-Policy"]
    assert "bridge-routes" in shown.data.decode()
    in_the_ui = look(tmp_path / "ui", shown.data, policy)
    alone = look(tmp_path / "file", shown.data, {"Content-Type": policy["Content-Type"]})
    assert in_the_ui.complaints == []
    assert in_the_ui.picture == alone.picture


def test_the_same_name_with_other_choices_is_refused_in_words(argo: Argo, ran: Document) -> None:
    chosen = SMALL | {"plugin": "host-network", "name": NAME}
    other = argo.end(argo.submit("cnibench-plugin", **chosen))
    assert other["status"]["phase"] == "Failed"
    assert f"campaign '{NAME}' in this store was run with other contents" in messages(other)


@dataclass(frozen=True)
class Again:
    """The same campaign twice more at once: by a file, and by a request while that runs."""

    file: Path
    by_file: Document
    refused: Document
    by_request: Document
    waiting: bool


@pytest.fixture(scope="module")
def again(argo: Argo, ran: Document, tmp_path_factory: pytest.TempPathFactory) -> Again:
    """The file is the example of the repository."""
    file = tmp_path_factory.mktemp("run") / "run.yaml"
    first = run_file(file)
    argo.kubectl("apply", "--namespace=argo", f"--filename={file}")
    before, path = {*argo.names(), first}, "/api/v1/events/argo/cnibench"
    refused = argo.request("POST", path, CHOSEN, token="Bearer x")
    token = argo.kubectl("create", "token", "--namespace=argo", "cnibench-trigger").strip()
    taken = argo.request("POST", path, CHOSEN, token=f"Bearer {token}")
    assert taken["status_code"] == 200, taken
    argo.until(lambda: bool(argo.names() - before), "the request's workflow is there")
    (second,) = argo.names() - before

    def waits() -> bool:
        status = argo.workflow(second).get("status", {})
        return "Waiting for argo/Mutex/campaign-lab lock" in status.get("message", "")

    argo.until(lambda: waits() or argo.phase(second) in ENDED, "the second campaign begins")
    waiting = waits()
    return Again(file, argo.end(first), refused, argo.end(second), waiting)


def run_file(file: Path) -> str:
    """Write a run that resumes the campaign that was run by the form; the name of its workflow."""
    (example,) = (RENDERED.parent / "run-examples").glob("*first-look.yaml")
    document = YAML(typ="safe").load(example.read_text())
    assert {"name", "plugin"} <= {p["name"] for p in document["spec"]["arguments"]["parameters"]}
    document["spec"]["arguments"]["parameters"] = [
        {"name": name, "value": value} for name, value in CHOSEN.items()
    ]
    YAML().dump(document, file)
    return str(document["metadata"]["name"])


def test_a_file_is_a_run_and_applying_it_again_is_none(argo: Argo, again: Again) -> None:
    ended = again.by_file
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    applied = argo.kubectl("apply", "--namespace=argo", f"--filename={again.file}")
    assert "unchanged" in applied
    assert argo.workflow(ended["metadata"]["name"])["status"] == ended["status"]


def test_a_request_with_the_token_of_its_role_starts_a_run(again: Again) -> None:
    assert again.refused["status_code"] == 401
    assert again.by_request["status"]["phase"] == "Succeeded", messages(again.by_request)


def test_a_second_campaign_for_a_target_says_for_what_it_waits(again: Again) -> None:
    assert again.waiting


def test_the_same_name_again_runs_nothing(argo: Argo, again: Again) -> None:
    for campaign in (again.by_file, again.by_request):
        assert argo.blocks(campaign["metadata"]["name"]) == []
