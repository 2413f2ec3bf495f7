"""The plan: order, completeness, what it costs and what it can show."""

from collections import Counter
from typing import Literal

import pytest

from steps.lib.catalog import Catalog
from steps.lib.components import rules
from steps.lib.errors import InputError
from steps.lib.estimate import estimate
from steps.lib.models import PATHS, AddressFamily, Scale, TargetSpec
from steps.lib.plan import Unsupported, digest, make_plan, planned_rows
from steps.lib.statistics import detectable_factor, detectable_percent
from steps.lib.tables import schema
from steps.lib.targets.kubernetes.population import bodies
from tests.jobs import RR, TCP, UDP, job, matrix

PLUGINS = ("host-network", "bridge-routes", "macvlan")
ALL_PATHS = {"paths": ["in-pod", "same-node", "cross-node", "external-service", "host-to-host"]}


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    def order(seed: int) -> list[str]:
        of = matrix(TCP, UDP, RR, **ALL_PATHS)
        return [b.id + c.id for b, c in make_plan(job(PLUGINS, repeats=5, of=of, seed=seed))]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))


def test_each_repeat_holds_each_candidate_once() -> None:
    plan = make_plan(job(PLUGINS, profiles=("base", "dakic-2-kernel"), repeats=4))
    for repeat in range(1, 5):
        blocks = [b for b in plan.blocks if b.repeat == repeat]
        places = [b.order for b in blocks]
        assert places == list(range(min(places), min(places) + 6)), "a repeat is not interleaved"
        assert len({(b.plugin.name, b.profile.name) for b in blocks}) == 6


def test_repeats_are_in_different_orders() -> None:
    plan = make_plan(job(PLUGINS, profiles=("base", "dakic-2-kernel"), repeats=6))
    orders = {
        tuple((b.plugin.name, b.profile.name) for b in plan.blocks if b.repeat == repeat)
        for repeat in range(1, 7)
    }
    assert len(orders) > 1


def test_cells_of_two_blocks_are_in_different_orders() -> None:
    first, second = make_plan(job(PLUGINS, of=matrix(TCP, UDP, RR, **ALL_PATHS))).blocks[:2]
    assert [c.id for c in first.cells] != [c.id for c in second.cells]
    assert {c.id for c in first.cells} == {c.id for c in second.cells}


def test_references_are_the_first_and_the_last_cell_of_a_block() -> None:
    block = make_plan(job(PLUGINS, of=matrix(TCP, UDP, reference=TCP))).blocks[0]
    assert [c.role for c in block.cells] == ["reference", "cell", "cell", "reference"]
    assert block.cells[0].id == "reference.start"
    assert block.cells[-1].id == "reference.end"
    assert {block.cells[0].cell.path, block.cells[-1].cell.path} == {"host-to-host"}


def test_what_a_plugin_cannot_do_is_planned_as_unsupported_with_the_reason() -> None:
    plan = make_plan(job(("macvlan",), of=matrix(TCP, **ALL_PATHS)))
    reasons = {c.cell.path: c.unsupported_reason for _, c in plan}
    assert reasons["external-service"]
    assert reasons["cross-node"] is None


@pytest.mark.parametrize("name", [each.name for each in Catalog().matrices])
@pytest.mark.parametrize("kind", ["namespaces", "kubernetes"])
def test_every_cell_of_every_matrix_is_to_run_or_says_why_not(
    name: str, kind: Literal["namespaces", "kubernetes"]
) -> None:
    of = Catalog().matrices.load(name)
    every = tuple(plugin.name for plugin in Catalog().plugins)
    planned = job(every, of=of)
    target = TargetSpec(kind=kind, context="c" if kind == "kubernetes" else None)
    campaign = planned.campaign.model_copy(update={"target": target})
    plan = make_plan(planned.model_copy(update={"campaign": campaign}))
    cost = estimate(plan, {}, {})
    rows = planned_rows(plan)
    assert sum(cost.cells.values()) == len(rows)
    reasons = [row["unsupported_reason"] for row in rows]
    assert cost.cells["unsupported"] == sum(reason is not None for reason in reasons)
    assert "" not in reasons
    assert cost.cells["to run"], "the target can do some of it"


def test_a_family_that_the_target_has_no_addresses_of_is_planned_with_the_reason() -> None:
    of = matrix(TCP, TCP | {"id": "tcp-ipv6", "family": "ipv6"})
    made = job(("bridge-routes", "bridge-dual-stack"), of=of)
    reasons = {(b.plugin.name, c.id): c.unsupported_reason for b, c in make_plan(made)}
    assert reasons["bridge-routes", "cross-node.tcp-1"] is None
    without = "the plugin's file states no addresses of family 'ipv6'"
    assert reasons["bridge-routes", "cross-node.tcp-ipv6"] == without
    assert reasons["bridge-dual-stack", "cross-node.tcp-ipv6"] is None


@pytest.mark.parametrize("families", [("ipv4",), ("ipv4", "ipv6")])
def test_a_cluster_has_the_families_that_its_campaign_states(
    families: tuple[AddressFamily, ...],
) -> None:
    of = matrix(TCP, TCP | {"id": "tcp-ipv6", "family": "ipv6"})
    made = job(("host-network", "bridge-dual-stack"), of=of)
    target = TargetSpec(kind="kubernetes", name="c", context="c", families=families)
    campaign = made.campaign.model_copy(update={"target": target})
    planned = make_plan(made.model_copy(update={"campaign": campaign}))
    lacks = {(b.plugin.name, c.id): c.unsupported_reason for b, c in planned}
    assert lacks["host-network", "cross-node.tcp-1"] is None
    of_baseline = lacks["host-network", "cross-node.tcp-ipv6"]
    of_plugin = lacks["bridge-dual-stack", "cross-node.tcp-1"]
    if "ipv6" in families:
        assert (of_baseline, of_plugin) == (None, None)
    else:
        assert of_baseline == "the campaign's `target.families` lack ipv6"
        assert of_plugin == "its pods have addresses of ipv6, which `target.families` lack"


def test_a_server_outside_that_pods_do_not_reach_is_planned_with_the_reason() -> None:
    paths = {"paths": ["external-service", "pod-external"]}
    client = {"reachable": False, "mtu_bytes": 1450}
    target = {"kind": "kubernetes", "context": "c", "external_client": client}
    planned = job(("flannel-vxlan",), of=matrix(TCP, **paths))
    fields = {"target": TargetSpec.model_validate(target)}
    campaign = planned.campaign.model_copy(update=fields)
    plan = make_plan(planned.model_copy(update={"campaign": campaign}))
    reasons = {c.cell.path: c.unsupported_reason for _, c in plan}
    assert reasons["external-service"] is None
    assert "`reachable: false`" in (reasons["pod-external"] or "")


def test_a_datagram_too_long_for_a_family_that_a_plugin_lacks_stops_no_campaign() -> None:
    long = UDP | {"id": "udp-ipv6", "family": "ipv6", "message_bytes": 1472}
    assert len(make_plan(job(("bridge-routes",), of=matrix(long))).blocks) == 1
    with pytest.raises(InputError, match="write at most 1452"):
        make_plan(job(("bridge-dual-stack",), of=matrix(long)))


def test_paths_that_no_target_has_are_planned_with_the_reason() -> None:
    absent = [name for name, path in PATHS.items() if path.absent]
    plan = make_plan(job(("bridge-routes",), of=matrix(TCP, paths=absent)))
    assert {c.cell.path: c.unsupported_reason for _, c in plan} == {
        name: PATHS[name].absent for name in absent
    }


def test_more_pairs_than_the_target_has_room_for_are_unsupported() -> None:
    of = matrix(TCP | {"pairs": 17}, paths=["cross-node", "host-to-pod"])
    reasons = {c.cell.path: c.unsupported_reason for _, c in make_plan(job(PLUGINS[:1], of=of))}
    assert reasons == {
        "cross-node": "17 pairs at once; the target's `pairs_max` is 16",
        "host-to-pod": "17 pairs need pods at both ends, and path host-to-pod has one that is none",
    }


def test_services_beside_a_cell_are_unsupported_where_there_are_none() -> None:
    of = matrix(TCP | {"scale": {"services": 1000}})
    (cell,) = make_plan(job(PLUGINS[:1], of=of)).blocks[0].cells
    assert (cell.unsupported_reason or "").startswith("the embedded target has no Services, and")
    (able,) = make_plan(job(("ptp-rules",), of=of)).blocks[0].cells
    assert able.unsupported_reason is None
    assert cell.cell.columns["scale_endpoints"] == 1000


def test_a_population_is_of_the_cells_family() -> None:
    service, ends = bodies(Scale(services=1), "ipv6")
    assert service["spec"]["ipFamilies"] == ["IPv6"]
    assert (ends["addressType"], ends["endpoints"]) == ("IPv6", [{"addresses": ["2001:2::"]}])


def test_each_service_of_a_population_has_its_endpoints_at_addresses_nobody_has() -> None:
    made = list(bodies(Scale(services=3, endpoints_each=2), "ipv4"))
    services, slices = made[::2], made[1::2]
    assert [body["metadata"]["name"] for body in services] == [
        body["metadata"]["labels"]["kubernetes.io/service-name"] for body in slices
    ]
    assert "selector" not in services[0]["spec"], "or the control plane would look for its pods"
    found = [
        address for body in slices for end in body["endpoints"] for address in end["addresses"]
    ]
    assert found == [f"198.18.0.{number}" for number in range(6)]


def test_what_runs_beside_a_cell_is_part_of_its_time_and_traffic() -> None:
    load = {"streams": 400, "message_bytes": 1000, "congestion_control": "node"}
    alone, paced, unbounded = (
        estimate(make_plan(job(("bridge-routes",), of=matrix(UDP | more))), {}, {})
        for more in ({}, {"load": load | {"rate_bits_per_s": 8_000_000}}, {"load": load})
    )
    assert alone.wall_s + 4 < paced.wall_s == unbounded.wall_s
    assert paced.stated_bytes == alone.stated_bytes + 1_000_000 * (1 + 4.25)
    assert (paced.unknown_cells, unbounded.unknown_cells) == (0, 1)


def test_a_plugin_the_target_cannot_run_has_only_unsupported_cells() -> None:
    plan = make_plan(job(PLUGINS), Unsupported({"macvlan": "the kernel has no macvlan"}))
    for block, cell in plan:
        wanted = "the kernel has no macvlan" if block.plugin.name == "macvlan" else None
        assert cell.unsupported_reason == wanted


def test_a_datagram_that_would_be_fragmented_is_refused_with_the_largest_that_fits() -> None:
    of = matrix(UDP | {"message_bytes": 1472})
    assert make_plan(job(("bridge-routes",), of=of)), "fits without a tunnel"
    with pytest.raises(InputError, match=r"bridge-vxlan \(pod MTU 1450\); write at most 1422"):
        make_plan(job(("bridge-vxlan",), of=of))


def test_a_large_datagram_is_no_error_on_loopback() -> None:
    of = matrix(UDP | {"message_bytes": 9000}, paths=["in-pod"])
    assert make_plan(job(("bridge-vxlan",), of=of))


def test_planned_rows_have_exactly_the_columns_of_the_table() -> None:
    rows = planned_rows(make_plan(job(PLUGINS, of=matrix(TCP, UDP, RR, reference=TCP))))
    assert {frozenset(row) for row in rows} == {frozenset(schema("planned").names)}
    keys = Counter((row["block"], row["cell"]) for row in rows)
    assert set(keys.values()) == {1}


def test_the_digest_changes_with_everything_that_is_pinned() -> None:
    original, parts = job(PLUGINS), rules()
    assert digest(original, "tools", parts) == digest(job(PLUGINS), "tools", parts)
    others = [
        digest(original, "other tools", parts),
        digest(job(PLUGINS, seed=2), "tools", parts),
        digest(job(PLUGINS, of=matrix(TCP | {"duration_s": 2})), "tools", parts),
        digest(job(PLUGINS[:2]), "tools", parts),
        digest(original, "tools", parts.model_copy(update={"components": parts.components[1:]})),
    ]
    assert len({digest(original, "tools", parts), *others}) == 6


def test_an_estimate_counts_only_what_is_missing() -> None:
    plan = make_plan(job(("bridge-routes", "macvlan"), of=matrix(TCP, UDP, **ALL_PATHS)))
    done = {plan.blocks[0].id: {c.id for c in plan.blocks[0].cells}}
    whole, rest = estimate(plan, {}, {}), estimate(plan, done, {})
    assert whole.cells["unsupported"] == 2
    assert whole.cells["to run"] == 18
    assert rest.cells["to run"] + rest.cells["measured"] == 18
    assert rest.wall_s < whole.wall_s


def test_traffic_of_a_stated_rate_is_known_and_unbounded_traffic_needs_an_earlier_run() -> None:
    plan = make_plan(job(("bridge-routes",), of=matrix(TCP, UDP)))
    cost = estimate(plan, {}, {})
    assert cost.stated_bytes == 100_000_000 / 8
    assert (cost.estimated_bytes, cost.unknown_cells) == (0.0, 1)
    known = estimate(plan, {}, {("cross-node", "tcp-stream"): 8e9})
    assert (known.estimated_bytes, known.unknown_cells) == (1e9, 0)


@pytest.mark.parametrize(
    ("runs", "factor"), [(3, 3.071), (4, 2.381), (5, 2.025), (10, 1.325), (30, 0.736)]
)
def test_the_detectable_difference_is_that_of_the_noncentral_t(runs: int, factor: float) -> None:
    found = detectable_factor(runs)
    assert found == pytest.approx(factor, abs=0.001)
    assert detectable_percent(runs, 3.1) == pytest.approx(factor * 3.1, abs=0.01)


def test_one_block_a_side_can_show_nothing() -> None:
    assert detectable_percent(1, 3.1) is None
