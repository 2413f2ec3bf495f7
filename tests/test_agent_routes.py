"""Which routes a selector takes away, and which stay."""

from collections.abc import Iterator

import pytest

from tests.agent_nodes import AgentNode, agent_node

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


def test_default_routes_stay_unless_they_are_in_a_table_of_the_plugins(node: AgentNode) -> None:
    default = "route default via 192.0.2.9 dev eth0 metric 50 proto 17"
    blackhole = "route blackhole default table 77"
    node.run("ip route add default via 192.0.2.9 metric 50 proto 17")
    node.run("ip route add blackhole default table 77; ip -6 route add ::/0 dev eth0 table 77")
    actions = {"routes": ["proto 17", "table 77"]}
    assert {default, blackhole} <= set(node.call("would_clean", actions=actions))
    told = node.call("clean", actions=actions)
    assert told["problems"] == [f"{default}: is a default route and stays"]
    assert blackhole in told["removed"] and len(told["removed"]) == 2
    assert "proto 17" in node.run("ip route show default")
    node.run("ip route delete default proto 17")


def test_a_route_with_several_next_hops_is_one_thing(node: AgentNode) -> None:
    hops = "nexthop via 192.0.2.8 dev eth0 weight 1 nexthop via 192.0.2.9 dev eth0 weight 1"
    before = node.inventory()
    node.run(f"ip route add 10.244.5.0/24 proto 17 {hops}")
    told = node.call("clean", actions={"routes": ["proto 17"]})
    assert told == {"removed": [f"route 10.244.5.0/24 proto 17 {hops}"], "problems": []}
    assert node.inventory() == before
