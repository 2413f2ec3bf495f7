"""What a person got wrong is said in the words of the Workflow, and nothing is begun."""

import base64
import json

import pytest

from tests.lab.on_argo.argo import SMALL, Argo, messages, without_secret

pytestmark = pytest.mark.lab


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
