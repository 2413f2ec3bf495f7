"""What a person got wrong is said in the words of the Workflow, and nothing is begun."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import credentials, store
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from tests.lab.labs import MGMT
from tests.lab.on_argo.argo import LONG, SMALL, Argo, in_mid_cell, messages, nodes, select, without

pytestmark = pytest.mark.lab


def test_a_target_without_its_secret_is_said_in_words(argo: Argo) -> None:
    with without(argo, "secret", "target-lab"):
        ended = argo.end(argo.submit("cnibench-plugin", **SMALL))
    assert ended["status"]["phase"] == "Failed"
    assert "the entry `kubeconfig` of the Secret target-" in messages(ended)


def test_a_wrong_key_for_the_store_is_said_in_words(argo: Argo) -> None:
    with without(argo, "secret", "cnibench-store") as secret:
        secret["data"]["AWS_SECRET_ACCESS_KEY"] = base64.b64encode(b"wrong").decode()
        argo.kubectl("apply", "-n", "argo", "-f", "-", given=json.dumps(secret))
        ended = argo.end(argo.submit("cnibench-plugin", **SMALL))
    assert ended["status"]["phase"] == "Failed"
    assert "the secret does not fit; correct AWS_SECRET_ACCESS_KEY" in messages(ended)


HOSTILE = "it's \"quoted\"\n, {{workflow.uid}}, {{=sprig.env('HOME')}}, ../x, $(id > /tmp/x); `id`"

PATIENT = pytest.mark.skipif(not LONG, reason="minutes more: CNIBENCH_LAB_LONG=1 asks for them")

NO_LABEL = "invalid label value "
"""Argo's controller itself says that, before any pod."""


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("plugins", "form:1: plugins.0: expected 1 to 40 lower-case letters"),
        ("name", NO_LABEL),
        ("target", NO_LABEL),
        pytest.param("store", "write s3://bucket/name", marks=PATIENT),
        pytest.param("seed", "form:1: seed: expected a whole number", marks=PATIENT),
    ],
)
def test_a_hostile_field_ends_the_campaign_in_words_and_does_nothing_else(
    argo: Argo, field: str, words: str
) -> None:
    """Of what looks like a template Argo itself fills in plain names, as ``{{workflow.uid}}``."""
    typed = {field: HOSTILE + "x" * 3_000}
    name = argo.submit("cnibench-campaign", **{"matrix": "smoke", "repeats": "1"} | typed)
    ended = argo.end(name)
    assert ended["status"]["phase"] in ("Failed", "Error")
    assert words in messages(ended)
    assert argo.blocks(name) == []


def test_what_no_drop_down_offers_is_refused_with_what_there_is(argo: Argo) -> None:
    """Argo's drop-downs bind its UI only."""
    ended = argo.end(argo.submit("cnibench-plugin", **SMALL | {"profile": "turbo"}))
    assert ended["status"]["phase"] == "Failed"
    said = messages(ended)
    assert "profiles" in said
    assert "turbo" in said
    assert "base" in said


@contextmanager
def withdrawn(argo: Argo) -> Iterator[None]:
    """The lab's store refuses the key of results."""
    admin = store.administration(argo.lab, MGMT)
    admin.user_disable(credentials.RESULTS)
    try:
        yield
    finally:
        admin.user_enable(credentials.RESULTS)


@PATIENT
def test_a_key_that_is_withdrawn_in_mid_run_is_said_and_what_was_stored_stays(
    argo: Argo, api: Api
) -> None:
    chosen = SMALL | {"plugin": "host-network", "name": "withdrawn"}
    rows = "select cell, started_at from measurements where campaign = 'withdrawn' order by cell"
    campaign, block = in_mid_cell(argo, api, chosen, stored=1)
    with withdrawn(argo):
        failed = argo.end(block)
        argo.end(campaign)
    stored = select(argo, rows)
    assert failed["status"]["phase"] == "Failed"
    assert (
        "this key, or it is disabled; correct AWS_ACCESS_KEY_ID"
        in nodes(failed, "run-cells")[-1]["message"]
    )
    assert nodes(failed, "remove-plugin")[-1]["phase"] == "Succeeded", messages(failed)
    assert api.get(api.core.read_namespace, NAMESPACE) is None, "the target is left as it was"
    assert 0 < len(stored) < 3
    resumed = argo.end(argo.submit("cnibench-plugin", **chosen))
    assert resumed["status"]["phase"] == "Succeeded", messages(resumed)
    after = select(argo, rows)
    assert len(after) == 3
    assert set(stored) <= set(after), "what was stored is as it was"
