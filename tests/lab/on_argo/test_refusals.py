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


@pytest.mark.parametrize("field", ["plugins", "name", "target", "store", "seed"])
def test_a_hostile_field_ends_the_campaign_in_words_and_does_nothing_else(
    argo: Argo, field: str
) -> None:
    """Refused by the server, by the controller, or by the first stage."""
    chosen = {"matrix": "smoke", "repeats": "1", field: HOSTILE + "x" * 10_000}
    before = argo.names()
    answer = argo.send("cnibench-campaign", **chosen)
    if answer["status_code"] != 200:
        print("refused", answer)
        assert argo.names() == before
        return
    name = answer["metadata"]["name"]
    ended = argo.end(name)
    print("ended", ended["status"]["phase"], messages(ended)[:1500])
    assert ended["status"]["phase"] in ("Failed", "Error")
    assert argo.blocks(name) == []
