"""What a person got wrong is said in the words of the Workflow, and nothing is begun."""

import base64
import json

import pytest

from tests.lab.on_argo.argo import SMALL, Argo, messages, without

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


NO_LABEL = "invalid label value "
"""Argo's controller itself says that, before any pod."""


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("plugins", "form:1: plugins.0: expected 1 to 40 lower-case letters"),
        ("name", NO_LABEL),
        ("target", NO_LABEL),
        ("store", "write s3://bucket/name"),
        ("seed", "form:1: seed: expected a whole number"),
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
