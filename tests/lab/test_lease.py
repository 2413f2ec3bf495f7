"""One campaign at a time holds a cluster; who has lost it touches nothing any more."""

import time
from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.errors import OwnershipError
from steps.lib.targets.kubernetes import memory
from steps.lib.targets.kubernetes.api import NAMESPACE, connect
from steps.lib.targets.kubernetes.memory import LEASE, Holder, Memory, lease
from tests.lab.labs import TARGET

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("api")]


@pytest.fixture(autouse=True)
def impatient(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leases that are looked after more often; our namespace goes afterwards."""
    monkeypatch.setattr(memory, "RENEW_S", 0.2)
    own = connect(lab.context(TARGET))
    own.ensure_namespace()
    yield
    own.delete_namespace()


def test_a_cluster_is_held_by_one_campaign_and_then_free(lab: Lab) -> None:
    first, second = connect(lab.context(TARGET)), connect(lab.context(TARGET))
    with (
        lease(first, "a", Holder.this_process()),
        pytest.raises(OwnershipError, match="is measuring already"),
        lease(second, "a", Holder.this_process()),
    ):
        raise AssertionError("two campaigns hold one cluster")
    with lease(second, "a", Holder.this_process()):
        pass


def test_who_lost_the_lease_can_do_nothing_and_leaves_the_others_alone(lab: Lab) -> None:
    sleeper, other = connect(lab.context(TARGET)), connect(lab.context(TARGET))
    taken = {"spec": {"holderIdentity": "elsewhere/1/other"}}
    with (
        pytest.raises(OwnershipError, match="taken by another campaign"),
        lease(sleeper, "a", Holder.this_process()),
    ):
        other.call(other.coordination.patch_namespaced_lease, LEASE, NAMESPACE, taken)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            Memory(sleeper).names()
            time.sleep(0.1)
    found = other.call(other.coordination.read_namespaced_lease, LEASE, NAMESPACE)
    assert found.spec.holder_identity == "elsewhere/1/other"


def test_a_workflow_holds_a_cluster_between_its_pods_and_then_lets_it_go(lab: Lab) -> None:
    own, other = connect(lab.context(TARGET)), connect(lab.context(TARGET))
    workflow = Holder.workflow("argo/block/1")
    with lease(own, "a", workflow, stays=lambda: True):
        pass
    with (
        pytest.raises(OwnershipError, match="held by workflow/argo/block/1"),
        lease(other, "a", Holder.this_process()),
    ):
        raise AssertionError("the workflow's next pod would meet another campaign")
    with lease(own, "a", workflow):
        pass
    with lease(other, "a", Holder.this_process()):
        pass
