"""Every plugin of the catalog that the embedded target can run, with real traffic on every path."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from steps.lib.catalog import Catalog
from steps.lib.models import PATH_NAMES, PATHS, SERVICE_ADDRESSES, PathName, Plugin
from steps.lib.reading import Ends
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.protocol import Endpoint, Inventory, Node
from tests.namespaces import ends_of, pings, pod, prepared, send

pytestmark = pytest.mark.namespaces

SENT = "96M"
STILL_BYTES = 64 * 1024

PLUGINS = [plugin for plugin in Catalog().plugins if "namespaces" in plugin.targets]


@dataclass(frozen=True)
class Site:
    """A target with a plugin on it, and what there was before."""

    target: NamespacesTarget
    plugin: Plugin
    before: dict[str, Inventory]

    def inventories(self) -> dict[str, Inventory]:
        return {node.name: self.target.inventory(node) for node in self.target.nodes()}


@pytest.fixture(scope="module", params=PLUGINS, ids=lambda plugin: plugin.name)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with prepared("t-plug") as target:
        before = {node.name: target.inventory(node) for node in target.nodes()}
        assert target.unsupported(request.param) is None
        target.install(request.param, "test")
        yield Site(target, request.param, before)


def placed(ends: Ends, reference: str) -> tuple[Endpoint | Node, str]:
    place, device = ends.device(reference)
    assert device, f"{reference} has no device"
    return ends.places[place], device


@pytest.mark.parametrize("path", PATH_NAMES)
def test_traffic_moves_the_declared_devices_and_not_the_silent_ones(
    site: Site, path: PathName
) -> None:
    if path in site.plugin.unsupported:
        pytest.skip(site.plugin.unsupported[path])
    if PATHS[path].address in SERVICE_ADDRESSES:
        pytest.skip("the embedded target has no Services")
    if path not in site.plugin.paths:
        pytest.skip(PATHS[path].absent or "the plugin does not state it")
    proof = site.plugin.paths[path]
    with ends_of(site.target, path) as ends:
        places = {
            reference: placed(ends, reference) for reference in (*proof.carries, *proof.silent)
        }

        def moved() -> dict[str, tuple[int, int]]:
            counters = {r: site.target.counters(w).devices[d] for r, (w, d) in places.items()}
            return {r: (c.rx_bytes, c.tx_bytes) for r, c in counters.items()}

        before = moved()
        payload = send(site.target, ends, "-n", SENT)
        after = moved()
    grown = {r: max(a - b for a, b in zip(after[r], before[r], strict=True)) for r in places}
    assert {r for r in proof.carries if grown[r] < payload} == set(), (payload, grown)
    assert {r for r in proof.silent if grown[r] > STILL_BYTES} == set(), grown


def test_a_packet_of_the_declared_mtu_passes_between_nodes_and_a_larger_one_does_not(
    site: Site,
) -> None:
    mtu = 1500 - site.plugin.mtu_overhead_bytes
    with ends_of(site.target, "cross-node") as ends:
        assert (ends.client.mtu_bytes, ends.server.mtu_bytes) == (mtu, mtu)
        for size, passes in ((mtu, True), (mtu + 1, False)):
            payload = str(size - 28)  # less the headers of IP and ICMP
            found = pings(site.target, ends.client, ends.address, "-M", "do", "-s", payload)
            assert found is passes, size


def test_pods_come_and_go_without_changing_the_fingerprint(site: Site) -> None:
    before = site.target.installation()
    with site.target.endpoint(pod("server", 0)):
        assert site.target.installation() == before
    assert before is not None
    assert before.version == site.plugin.source.version


def test_removal_leaves_the_nodes_as_they_were(site: Site) -> None:
    # The last test of each plugin, since it takes the plugin away.
    assert site.inventories() != site.before or site.plugin.install.mechanism == "host-network"
    site.target.remove()
    site.target.remove()
    assert site.target.installation() is None
    assert site.inventories() == site.before
