"""What outlives every process is written once, also where the answer to a request is lost."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from steps.lib.errors import OwnershipError
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.memory import Holder, Memory, is_held, lease

if TYPE_CHECKING:
    from tests.api_server import ApiServer, Document

pytest_plugins = ["tests.api_server"]

LEASES = "/apis/coordination.k8s.io/v1/namespaces/cnibench/leases"
OURS, THEIRS = Holder.workflow("argo/ours/1"), Holder.workflow("argo/theirs/1")


@pytest.fixture
def api(api_server: "ApiServer") -> Api:
    return connect(api_server.context)


def of(holder: Holder, age: timedelta) -> "Document":
    """A lease that was renewed some time ago."""
    spec = {
        "holderIdentity": holder.identity,
        "leaseDurationSeconds": holder.duration_s,
        "renewTime": (datetime.now(UTC) - age).isoformat(),
    }
    return {"metadata": {"name": "cnibench"}, "spec": spec}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_lease_is_ours_although_the_answer_that_says_so_was_lost(
    api_server: "ApiServer", api: Api, method: str
) -> None:
    """There was none; or one of somebody who is long gone."""
    if method == "PUT":
        api_server.carry_out("POST", LEASES, of(THEIRS, timedelta(days=1)))
    api_server.losing = [method]
    with lease(api, "a", OURS):
        assert api_server.losing == []
        assert is_held(api)
    assert not is_held(api)


def test_a_lease_that_somebody_else_took_meanwhile_is_not_ours(
    api_server: "ApiServer", api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out = api_server.carry_out

    def after_theirs(method: str, path: str, body: "Document") -> "tuple[int, Document]":
        if method == "POST":
            carry_out("POST", LEASES, of(THEIRS, timedelta()))
        return carry_out(method, path, body)

    monkeypatch.setattr(api_server, "carry_out", after_theirs)
    with (
        pytest.raises(OwnershipError, match="taken by somebody else just now"),
        lease(api, "a", OURS),
    ):
        raise AssertionError("two campaigns hold one cluster")
    assert api_server.objects[f"{LEASES}/cnibench"]["spec"]["holderIdentity"] == THEIRS.identity


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_document_is_saved_although_the_answer_was_lost(
    api_server: "ApiServer", api: Api, method: str
) -> None:
    memory = Memory(api)
    if method == "PUT":
        memory.save("state", "before")
    api_server.losing = [method]
    memory.save("state", "after")
    assert api_server.losing == []
    assert memory.load("state") == "after"
