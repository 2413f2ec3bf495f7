"""A policy is in force on the very port that is measured, or the cell does not count."""

import pytest
from pydantic import ValidationError

from steps.lib.errors import RefusedError
from steps.lib.models import Policy
from steps.lib.plan import make_plan
from steps.lib.targets.kubernetes.surroundings import bodies
from steps.lib.targets.protocol import STRANGER, Endpoint
from tests.jobs import RR, TCP, UDP, job, matrix
from tests.offences import bench
from tests.policies import Filtered, enforcing

ALLOW = {"policy": {"kind": "allow"}}
CONTROL_PORT = 30522


@pytest.mark.namespaces
def test_a_policy_that_works_is_proven_and_timed() -> None:
    with bench(enforcing()) as block:
        row = block.row(RR | ALLOW)
    assert row["status"] == "ok", row["reason"]
    assert (row["policy"], row["policy_rules"]) == ("allow", 1)
    assert 0 < row["policy_applied_ms"] < 10_000
    assert 0 < row["policy_removed_ms"] < 10_000
    (found,) = [gate for gate in row["gates"] if gate["gate"] == "policy"]
    assert found["verdict"] == "pass"
    assert found["evidence"].startswith("port 30523: the client passes, a stranger does not")


@pytest.mark.namespaces
def test_a_policy_that_covers_a_control_port_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.lib.policing.EFFECT_TIMEOUT_S", 0.5)
    with bench(enforcing()) as block:
        covered = (CONTROL_PORT,)
        block.target.enforced = Filtered.of(block.target, covered)
        row = block.row(RR | ALLOW)
    assert row["status"] == "invalid"
    assert row["reason"].startswith("policy: before: a stranger passes on port 30523; after: a str")
    assert row["policy_applied_ms"] is None


@pytest.mark.namespaces
def test_a_plugin_that_lets_a_new_pod_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    connects, asked = Filtered.connects, []

    def late(self: Filtered, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        asked.append(client.name)
        if client.name == STRANGER and asked.count(STRANGER) == 1:
            return False
        return connects(self, client, address, port, timeout_s)

    monkeypatch.setattr(Filtered, "connects", late)
    with bench(enforcing()) as block:
        block.target.enforced = Filtered.of(block.target)
        row = block.row(RR | ALLOW)
    assert row["status"] == "ok", row["reason"]


@pytest.mark.namespaces
def test_a_plugin_that_enforces_nothing_cannot_be_asked_for_a_policy() -> None:
    with bench() as block, pytest.raises(RefusedError, match="nobody who enforces"):
        block.row(RR | ALLOW)


def test_a_policy_that_the_plugin_lacks_is_planned_as_unsupported() -> None:
    paths = ["in-pod", "cross-node", "host-to-pod"]
    of = matrix(TCP | ALLOW, paths=paths)
    made = job(("bridge-vxlan",), of=of)
    lacking = {c.cell.path: c.unsupported_reason for _, c in make_plan(made)}
    assert set(lacking.values()) == {"the plugin's file states no policy of kind 'allow'"}
    able = make_plan(made.model_copy(update={"plugins": (enforcing(),)}))
    reasons = {c.cell.path: c.unsupported_reason for _, c in able}
    assert reasons["cross-node"] is None
    assert reasons["in-pod"] == "a policy is between two pods, and path in-pod is not"
    assert reasons["host-to-pod"] == "a policy is between two pods, and path host-to-pod is not"


def test_kinds_that_are_no_network_policy_are_planned_as_unsupported_with_the_reason() -> None:
    kinds = ("l7", "cluster-wide")
    of = matrix(*(TCP | {"id": kind, "policy": {"kind": kind}} for kind in kinds))
    made = job(("bridge-vxlan",), of=of).model_copy(update={"plugins": (enforcing(),)})
    reasons = {c.cell.traffic.id: c.unsupported_reason or "" for _, c in make_plan(made)}
    assert reasons["l7"].startswith("the plugin's file states no policy of kind 'l7', and no Net")
    assert reasons["cluster-wide"].endswith("a NetworkPolicy of Kubernetes is of one namespace")


@pytest.mark.parametrize(
    "more", [UDP | ALLOW, TCP | ALLOW | {"pairs": 2}], ids=["not TCP", "several clients"]
)
def test_a_policy_that_could_not_be_proven_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="write it for TCP traffic without `load`"):
        matrix(more)


def test_rules_of_a_policy_are_of_the_cells_family() -> None:
    (only,) = bodies(Policy(kind="allow", rules=3), "server", "client", (30521,), "ipv6")
    first, second, _ = only["spec"]["ingress"]
    assert first["from"] == [{"ipBlock": {"cidr": "2001:2::/128"}}]
    assert second["from"] == [{"ipBlock": {"cidr": "2001:2::1/128"}}]


@pytest.mark.namespaces
def test_a_server_that_a_stranger_never_reaches_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steps.lib.policing.OPEN_POLL_S", 0.01)
    connects = Filtered.connects

    def shut(self: Filtered, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        return client.name != STRANGER and connects(self, client, address, port, timeout_s)

    monkeypatch.setattr(Filtered, "connects", shut)
    with bench(enforcing()) as block:
        block.target.enforced = Filtered.of(block.target)
        with pytest.raises(RefusedError, match="without a policy not everybody reaches the server"):
            block.row(RR | ALLOW)


def test_a_policy_s_last_rule_lets_the_client_in_and_the_others_nobody() -> None:
    (only,) = bodies(Policy(kind="allow", rules=300), "server", "client", (30521,), "ipv4")
    rules = only["spec"]["ingress"]
    assert len(rules) == 300
    assert rules[0]["from"] == [{"ipBlock": {"cidr": "198.18.0.0/32"}}]
    assert rules[298]["from"] == [{"ipBlock": {"cidr": "198.18.1.42/32"}}]
    assert rules[-1]["from"] == [
        {"podSelector": {"matchLabels": {"cnibench.io/endpoint": "client"}}}
    ]
    assert {str(rule["ports"]) for rule in rules} == {"[{'protocol': 'TCP', 'port': 30521}]"}
    (only,) = bodies(Policy(kind="deny"), "server", "client", (30521,), "ipv4")
    (everybody_else,) = only["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"]
    assert everybody_else == {
        "key": "cnibench.io/endpoint", "operator": "NotIn", "values": ["stranger"],
    }  # fmt: skip
    closing, _ = bodies(Policy(kind="default-deny"), "server", "client", (30521,), "ipv4")
    assert (closing["spec"]["podSelector"], closing["spec"]["ingress"]) == ({}, [])
