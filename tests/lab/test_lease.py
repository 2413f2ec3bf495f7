"""One campaign at a time holds a cluster; who has lost it touches nothing any more."""

import time
from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.errors import OwnershipError
from steps.lib.targets.kubernetes import memory
from steps.lib.targets.kubernetes.api import NAMESPACE, connect
from steps.lib.targets.kubernetes.memory import LEASE, Memory, lease
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
        lease(first, "a"),
        pytest.raises(OwnershipError, match="is measuring already"),
        lease(second, "a"),
    ):
        raise AssertionError("two campaigns hold one cluster")
    with lease(second, "a"):
        pass


def test_who_lost_the_lease_can_do_nothing_and_leaves_the_others_alone(lab: Lab) -> None:
    sleeper, other = connect(lab.context(TARGET)), connect(lab.context(TARGET))
    taken = {"spec": {"holderIdentity": "elsewhere/1/other"}}
    with pytest.raises(OwnershipError, match="taken by another campaign"), lease(sleeper, "a"):
        other.call(other.coordination.patch_namespaced_lease, LEASE, NAMESPACE, taken)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            Memory(sleeper).names()
            time.sleep(0.1)
    found = other.call(other.coordination.read_namespaced_lease, LEASE, NAMESPACE)
    assert found.spec.holder_identity == "elsewhere/1/other"
