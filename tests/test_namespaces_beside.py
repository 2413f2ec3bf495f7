"""Around the cells of the embedded target: both address families, pods at once, rules."""

from dataclasses import replace

import pytest

from steps.install_plugin import as_asked
from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, Policy, Scale
from steps.lib.plan import make_plan
from steps.lib.row import population_columns
from steps.lib.targets.namespaces import rules
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.proc import udp6
from steps.lib.targets.protocol import EndpointRequest, Population
from tests.jobs import HTTP, RR, TCP, UDP, job, matrix, plugin
from tests.namespaces import PORT, pod, prepared
from tests.offences import bench

TIMEOUT_S = 1.0
CRR = RR | {"id": "crr", "kind": "tcp-crr"}


def install(target: NamespacesTarget, name: str) -> None:
    target.install(Catalog().plugins.load(name), "test")


@pytest.mark.namespaces
def test_both_families_reach_pods_and_published_ports_and_leave_nothing() -> None:
    with prepared("t-dual") as target:
        before = {node.name: target.inventory(node) for node in target.nodes()}
        install(target, "bridge-dual-stack")
        begins: dict[AddressFamily, str] = {"ipv4": "10.244.2.", "ipv6": "fd8a:0:0:2::"}
        for family in begins:
            from_outside = EndpointRequest("outside", "external", 0, family=family)
            with (
                target.endpoint(replace(pod("server", 1, PORT), family=family)) as server,
                target.endpoint(replace(pod("client", 0), family=family)) as client,
                target.endpoint(from_outside) as outside,
                target.surroundings.listening(server, (PORT,)),
            ):
                assert server.address.startswith(begins[family])
                assert (":" in server.node.address) == (family == "ipv6")
                assert target.surroundings.connects(client, server.address, PORT, TIMEOUT_S)
                assert target.surroundings.connects(outside, server.node.address, PORT, TIMEOUT_S)
        target.remove()
        assert {node.name: target.inventory(node) for node in target.nodes()} == before


@pytest.mark.namespaces
def test_pods_that_start_at_once_are_timed_until_each_answers_and_go_away() -> None:
    with prepared("t-crowd") as target:
        install(target, "ptp-routes")
        with target.surroundings.populated(Scale(pods=6), "ipv4") as population:
            assert len(population.pod_start_ms) == 6
            assert min(population.pod_start_ms) > 0
            assert len(list(target._layout.attachments.glob("crowd-*.json"))) == 6
        assert not list(target._layout.attachments.iterdir())


@pytest.mark.namespaces
@pytest.mark.parametrize("kind", ["allow", "default-deny"])
def test_a_policy_of_many_rules_lets_the_client_in_and_turns_a_stranger_away(kind: str) -> None:
    policy = Policy.model_validate({"kind": kind, "rules": 300})
    with prepared("t-rules") as target:
        install(target, "ptp-rules")
        around, before = target.surroundings, target.inventory(target.nodes()[1])
        with (
            target.endpoint(pod("server", 1)) as server,
            target.endpoint(pod("client", 0)) as client,
            target.endpoint(pod("stranger", 0)) as stranger,
            around.listening(server, (PORT,)),
        ):
            with around.applied(policy, server, client, (PORT,)):
                listed = output(
                    ["nft", "list", "table", "ip", rules.POLICY_TABLE],
                    namespace=target._layout.namespace(server.node.name),
                )
                assert listed.count("ip saddr") == 300
                assert around.connects(client, server.address, PORT, TIMEOUT_S)
                assert not around.connects(stranger, server.address, PORT, TIMEOUT_S)
            assert around.connects(stranger, server.address, PORT, TIMEOUT_S)
        assert target.inventory(target.nodes()[1]) == before


@pytest.mark.namespaces
def test_each_service_is_a_rule_on_every_node_and_only_with_a_plugin_that_has_them() -> None:
    scale = Scale(services=50, endpoints_each=3)
    with prepared("t-serve") as target:
        install(target, "ptp-rules")
        with target.surroundings.populated(scale, "ipv4"):
            for node in target.nodes():
                listed = output(
                    ["nft", "list", "table", "ip", rules.SERVICE_TABLE],
                    namespace=target._layout.namespace(node.name),
                )
                assert listed.count("dnat to numgen random mod 3") == 50
        target.remove()
        install(target, "ptp-routes")
        with pytest.raises(RefusedError, match="no Services"):
            target.surroundings.populated(scale, "ipv4").__enter__()


@pytest.mark.namespaces
def test_every_tool_is_measured_over_ipv6() -> None:
    over_ipv6 = {"family": "ipv6"}
    with bench(plugin("bridge-dual-stack")) as block:
        for traffic in (TCP, UDP, CRR, HTTP):
            row = block.row(traffic | over_ipv6)
            assert row["status"] == "ok", row["reason"]
            assert row["family"] == "ipv6"
            assert row["server_address"].startswith("fd8a:0:0:2::")
            assert row["packets"] > 0


def test_counters_of_udp_over_ipv6_have_the_names_of_their_siblings() -> None:
    text = "Ip6InReceives 7\nUdp6InDatagrams 12\nUdp6RcvbufErrors 3\nUdpLite6InErrors 1\n"
    assert udp6(text) == {"Udp6.InDatagrams": 12, "Udp6.RcvbufErrors": 3}


def test_percentiles_of_pods_are_by_nearest_rank() -> None:
    assert population_columns(Population()) == {}
    found = population_columns(Population(tuple(map(float, range(200, 0, -1)))))
    assert found == {"pods_started_ms": 200.0, "pod_start_ms_p50": 100.0, "pod_start_ms_p99": 198.0}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_baseline_has_ipv6_only_where_it_is_measured(family: str) -> None:
    of = matrix(TCP | {"family": family})
    (block,) = make_plan(job(("host-network",), of=of)).blocks
    assert as_asked(block).families == tuple(dict.fromkeys(("ipv4", family)))
