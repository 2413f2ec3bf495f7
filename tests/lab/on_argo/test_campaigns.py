"""Campaigns as people run them on a real Argo: by a form or a file, stopped, disturbed, resumed."""

import base64
import copy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import node
from lab.layout import Lab
from steps.lib.database import open_database
from steps.lib.questions import ask
from steps.lib.store import open_store
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.namespaces.programs import output
from steps.run_cells import NOTHING
from tests.lab import labs
from tests.lab.on_argo.argo import (
    RENDERED,
    SMALL,
    STORE,
    Argo,
    Document,
    in_mid_cell,
    in_the_middle,
    messages,
    nodes,
    select,
)
from tests.lab.on_argo.browser import look

pytestmark = pytest.mark.lab

NAME = "by-the-form"
PATHS = ["cross-node", "pod-service", "same-node"]
TIMING = ("duration: ", "cpu-window: ", "intervals-enough: ")
"""Reasons that a busy machine gives to one-second cells."""

AWAY_S = 30.0
SOON_S = 2.0


@pytest.fixture(autouse=True)
def nothing_left(api: Api) -> Iterator[None]:
    """After each campaign nothing of ours is on the target."""
    yield
    assert api.get(api.core.read_namespace, NAMESPACE) is None


# ---------- one campaign: stopped, resumed, and disturbed
@pytest.fixture(scope="module")
def stopped(argo: Argo) -> tuple[Document, str]:
    """The block of a campaign that a person stopped, after it; and how it was meanwhile."""
    campaign, block = in_mid_cell(argo, name=NAME)
    argo.tell(campaign, "stop")
    time.sleep(SOON_S)
    meanwhile = argo.phase(block)
    argo.tell(block, "stop")
    ended = argo.end(block)
    argo.end(campaign)
    return ended, meanwhile


@pytest.fixture(scope="module")
def ran(lab: Lab, argo: Argo, stopped: object) -> Document:
    """The same form sent off again; in mid-cell its pods are deleted, and the servers go away."""
    campaign, block = in_mid_cell(argo, name=NAME)
    deployment = ("scale", "-n", "minio", "deployment/minio")
    argo.kubectl(*deployment, "--replicas=0")
    back = threading.Timer(AWAY_S, argo.kubectl, (*deployment, "--replicas=1"))
    back.start()
    try:
        argo.kubectl("delete", "pod", "-n", "argo", "-l", f"workflows.argoproj.io/workflow={block}")
        argo.kubectl("delete", "pod", "-n", "argo", "-l", "app=workflow-controller")
        labs.run(lab, "restart-apiserver", "mgmt")
    finally:
        back.join()
    return argo.end(campaign)


@pytest.fixture(scope="module")
def block(argo: Argo, ran: Document) -> Document:
    """Its only block."""
    (block,) = argo.blocks(ran["metadata"]["name"])
    return block


def blocks_of(argo: Argo, name: str) -> list[tuple[Any, ...]]:
    return select(
        argo,
        "select status, coalesce(reason, ''), residue from blocks "
        f"where campaign = '{name}' order by started_at",
    )


def test_stopping_a_campaign_leaves_its_block_alone_and_stopping_that_puts_back(
    stopped: tuple[Document, str],
) -> None:
    ended, meanwhile = stopped
    assert meanwhile == "Running", "the campaign's end waits for it"
    assert ended["status"]["phase"] == "Failed"
    assert nodes(ended, "remove-plugin")[-1]["phase"] == "Succeeded", "its exit handler ran"


def test_resumed_it_runs_what_is_missing_although_pods_and_servers_go_away(
    argo: Argo, ran: Document, block: Document
) -> None:
    assert ran["status"]["phase"] == "Succeeded", messages(ran) + messages(block)
    cells = f"select path, status, reason from measurements where campaign = '{NAME}' order by path"
    found = select(argo, cells)
    assert [path for path, *_ in found] == PATHS, "each was measured, and once"
    assert [f for f in found if f[1] != "ok" and not f[2].startswith(TIMING)] == []
    assert any(status == "ok" for _, status, _ in found)
    first, second = blocks_of(argo, NAME)
    assert (first[0], "it was ended before" in first[1], first[2]) == ("failed", True, [])
    assert (second[0], second[2]) == ("ok", [])


def test_the_same_questions_are_answered_from_there(argo: Argo, ran: Document) -> None:
    with argo.at_hand():
        assert ask(open_database(open_store(STORE)), "fastest-plugin", NAME).rows


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


def test_a_second_campaign_for_a_target_waits_and_the_same_name_again_runs_nothing(
    argo: Argo, ran: Document
) -> None:
    chosen = SMALL | {"name": NAME}
    first, second = (argo.submit("cnibench-plugin", **chosen) for _ in range(2))

    def waits() -> bool:
        status = argo.workflow(second).get("status", {})
        return "Waiting for argo/Mutex/campaign-lab lock" in status.get("message", "")

    argo.until(waits, "the second campaign says for what it waits")
    for name in (first, second):
        again = argo.end(name)
        assert again["status"]["phase"] == "Succeeded", messages(again)
        assert argo.blocks(name) == []


def test_the_same_name_with_other_choices_is_refused_in_words(argo: Argo, ran: Document) -> None:
    chosen = SMALL | {"plugin": "host-network", "name": NAME}
    other = argo.end(argo.submit("cnibench-plugin", **chosen))
    assert other["status"]["phase"] == "Failed"
    assert f"campaign '{NAME}' in this store was run with other contents" in messages(other)


def test_a_file_is_a_run_and_applying_it_again_is_none(
    argo: Argo, ran: Document, tmp_path: Path
) -> None:
    """The example of the repository, which resumes the campaign that was run by the form."""
    (example,) = (RENDERED.parent / "runs").glob("*first-look.yaml")
    document = YAML(typ="safe").load(example.read_text())
    chosen = {"matrix": "smoke", "name": NAME}
    for parameter in document["spec"]["arguments"]["parameters"]:
        parameter["value"] = chosen.get(parameter["name"], parameter["value"])
    file = tmp_path / "run.yaml"
    YAML().dump(document, file)
    argo.kubectl("apply", "--namespace=argo", f"--filename={file}")
    name = document["metadata"]["name"]
    ended = argo.end(name)
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    applied = argo.kubectl("apply", "--namespace=argo", f"--filename={file}")
    assert "unchanged" in applied
    assert argo.workflow(name)["status"] == ended["status"]


def test_a_request_with_the_token_of_its_role_starts_a_run(argo: Argo, ran: Document) -> None:
    token = argo.kubectl("create", "token", "--namespace=argo", "cnibench-trigger").strip()
    wanted = SMALL | {"name": NAME}
    before = argo.names()
    refused = argo.request("POST", "/api/v1/events/argo/cnibench", wanted, token="Bearer x")
    assert refused["status_code"] == 401
    path = "/api/v1/events/argo/cnibench"
    taken = argo.request("POST", path, wanted, token=f"Bearer {token}")
    assert taken["status_code"] == 200, taken
    argo.until(lambda: bool(argo.names() - before), "the request's workflow is there")
    (name,) = argo.names() - before
    ended = argo.end(name)
    assert ended["status"]["phase"] == "Succeeded", messages(ended)


# ---------- others
def test_the_pod_of_a_stage_is_the_client_outside(argo: Argo) -> None:
    chosen = {"plugin": "host-network", "matrix": "every-path", "name": "outside"}
    ended = argo.end(argo.submit("cnibench-plugin", **SMALL | chosen))
    assert ended["status"]["phase"] == "Succeeded", messages(ended)
    columns = "path, status, coalesce(reason, ''), cpu_client_s + cpu_server_s"
    found = select(argo, f"select {columns} from measurements where campaign = 'outside'")
    outside = {path: cell for path, *cell in found if "external" in path}
    assert outside.keys() == {"external-service", "pod-external"}
    for status, reason, tools_s in outside.values():
        assert (status == "ok" and tools_s > 0.1) or reason.startswith(TIMING), reason


def test_a_block_terminated_in_mid_tuning_is_put_back_by_its_campaign(argo: Argo) -> None:
    """Its exit handler does not run; the campaign's does, and has the right to the target."""
    before = tcp_sack(argo)
    assert set(before) == {"1"}
    chosen = {"profile": "sack-off", "name": "terminated"}
    campaign, block = in_the_middle(argo, "tune-nodes", **chosen)
    argo.until(lambda: "0" in tcp_sack(argo), "a node's setting is changed", every_s=0.05)
    argo.tell(block, "terminate")
    argo.end(block)
    argo.end(campaign)
    assert tcp_sack(argo) == before
    ((status, reason, _),) = blocks_of(argo, "terminated")
    assert (status, reason[:11]) == ("failed", "interrupted")


def tcp_sack(argo: Argo) -> list[str]:
    """A setting as the nodes of the target have it."""
    pids = [node.init_pid(argo.lab, host) for host in labs.TARGET.nodes]
    file = "/proc/sys/net/ipv4/tcp_sack"
    return [output(["nsenter", f"--net=/proc/{p}/ns/net", "cat", file]).strip() for p in pids]


@contextmanager
def without_secret(argo: Argo, name: str) -> Iterator[Document]:
    """A Secret of the pipeline taken away for a while; what it was, to make another of it."""
    secret = argo.get("secret", name)
    for field in ("resourceVersion", "uid", "creationTimestamp"):
        del secret["metadata"][field]
    argo.kubectl("delete", "secret", "-n", "argo", name)
    try:
        yield copy.deepcopy(secret)
    finally:
        argo.kubectl("apply", "-n", "argo", "-f", "-", given=json.dumps(secret))


def test_a_target_without_its_secret_is_said_in_words(argo: Argo) -> None:
    with without_secret(argo, "target-lab"):
        ended = argo.end(argo.submit("cnibench-plugin", **SMALL))
    assert ended["status"]["phase"] == "Failed"
    assert "the entry `kubeconfig` of the Secret target-" in messages(ended)


def test_a_wrong_key_for_the_store_is_said_in_words(argo: Argo) -> None:
    with without_secret(argo, "cnibench-store") as secret:
        secret["data"]["AWS_SECRET_ACCESS_KEY"] = base64.b64encode(b"wrong").decode()
        argo.kubectl("apply", "-n", "argo", "-f", "-", given=json.dumps(secret))
        ended = argo.end(argo.submit("cnibench-plugin", **SMALL))
    assert ended["status"]["phase"] == "Failed"
    assert "the secret does not fit; correct AWS_SECRET_ACCESS_KEY" in messages(ended)


HOSTILE = "it's \"quoted\"\n, {{workflow.uid}}, {{=sprig.env('HOME')}}, ../x, $(id > /tmp/x); `id`"


def test_a_hostile_field_ends_the_campaign_and_does_nothing_else(argo: Argo) -> None:
    typed = HOSTILE + "x" * 10_000
    name = argo.submit("cnibench-campaign", plugins=typed, matrix="smoke", repeats="1")
    ended = argo.end(name)
    assert ended["status"]["phase"] in ("Failed", "Error")
    assert "form:1: plugins.0: expected 1 to 40 lower-case letters" in messages(ended)
    assert argo.blocks(name) == []
