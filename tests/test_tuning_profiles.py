"""Every profile of the catalog on nodes of this machine: applied, taken back without a trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.lib.catalog import Catalog
from steps.lib.database import open_database
from steps.lib.errors import RefusedError
from steps.lib.executor import run_campaign
from steps.lib.models import Entry, Matrix, Profile
from steps.lib.plan import underlay_mtu
from steps.lib.restoring import restore
from steps.lib.store import open_store
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.protocol import Endpoint, Target
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.jobs import TCP, job, matrix
from tests.tuning import STATE, entry, held_target, picture, profile, sysctl

pytestmark = pytest.mark.namespaces

PROFILES = [p for p in Catalog().profiles if p.entries]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with held_target("all") as target:
        yield target


@pytest.mark.parametrize("tuned", PROFILES, ids=lambda p: p.name)
def test_a_profile_is_applied_and_leaves_no_difference_or_says_what_the_node_lacks(
    target: Target, tuned: Profile
) -> None:
    before = picture(target)
    reason = unsupported(target, tuned)
    if reason is not None:
        needed = [e for e in tuned.entries if not e.optional]
        assert any(f"{e.wanted}: " in reason for e in needed), reason
        with pytest.raises(RefusedError, match="nothing was changed"):
            apply_profile(target, STATE, tuned)  # The nodes themselves say the same.
        assert picture(target) == before
        return
    state = apply_profile(target, STATE, tuned, before_install=True)
    state = apply_profile(target, state, tuned)
    assert read_back(target, state).wrong == ()
    entries = len(tuned.entries)
    for node in target.nodes():
        lacking = len(state.lacking.get(node.name, ()))
        assert len([e for e in state.tuned if e.node == node.name]) >= entries - lacking > 0
    assert restore(target, state)[1] == []
    assert picture(target) == before


def campaign(
    store: Path, tuned: Profile, plugin: str = "bridge-routes", of: Matrix | None = None
) -> list[Any]:
    """Status and reason of each cell of a campaign with one profile of our own."""
    of_one = job((plugin,), of=of or matrix(TCP), target="tuned")
    changed = of_one.campaign.model_copy(update={"profiles": (tuned.name,)})
    whole = of_one.model_copy(update={"profiles": (tuned,), "campaign": changed})
    run_campaign(whole, str(store), lambda event: None)
    return select(store, "select status, reason from measurements")


def select(store: Path, statement: str) -> list[Any]:
    return open_database(open_store(str(store))).execute(statement).fetchall()


def test_a_profile_that_nodes_cannot_have_is_unsupported_and_nothing_is_installed(
    tmp_path: Path,
) -> None:
    ring = entry("ethtool_ring", "4096", "rx")
    assert campaign(tmp_path, profile(ring)) == []
    ((reason,),) = select(tmp_path, "select distinct unsupported_reason from planned")
    assert reason.startswith("profile tuned: ethtool_ring rx: the driver of eth0 has none of it")
    assert select(tmp_path, "select count(*) from blocks") == [(0,)]


def test_an_optional_entry_that_is_lacking_is_in_the_results_and_in_the_digest(
    tmp_path: Path,
) -> None:
    both = (sysctl("net.ipv4.tcp_sack", "0"), entry("ethtool_ring", "4096", "rx", optional=True))
    for name, entries in (("with", both), ("without", both[:1])):
        assert campaign(tmp_path / name, profile(*entries)) == [("ok", None)]
    digest = "select distinct profile_digest from measurements"
    assert select(tmp_path / "with", digest) != select(tmp_path / "without", digest)
    ((lacking,),) = select(tmp_path / "with", "select distinct lacking from nodes")
    assert len(lacking) == 1 and lacking[0].startswith("ethtool_ring rx: the driver of eth0")
    assert select(tmp_path / "without", "select distinct lacking from nodes") == [([],)]


def test_pods_get_the_mtu_that_the_plugin_leaves_of_the_tuned_one(tmp_path: Path) -> None:
    jumbo = Catalog().profiles.load("mtu-9000")
    found = campaign(tmp_path, jumbo, "bridge-vxlan")
    assert found == [("ok", None)]
    columns = "client_mtu_bytes, server_mtu_bytes, mss_bytes"
    assert select(tmp_path, f"select {columns} from measurements") == [(8950, 8950, 8898)]
    underlay = "select distinct underlay_mtu_bytes from nodes"
    assert select(tmp_path, underlay) == [(9000,)]
    tuned = "select distinct t.before, t.after from nodes, unnest(tuned) as u(t)"
    assert select(tmp_path, tuned) == [("1500", "9000")]


@pytest.mark.parametrize(
    ("overridden", "command"),
    [
        (sysctl("net.ipv4.conf.eth0.rp_filter", "2"), "sysctl -w net.ipv4.conf.eth0.rp_filter=1"),
        (entry("ethtool_feature", "off", "gso"), "ethtool --features eth0 gso on"),
    ],
    ids=["rp_filter", "gso"],
)
def test_what_is_overridden_while_the_traffic_runs_makes_the_cell_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overridden: Entry, command: str
) -> None:
    start = NamespacesTarget.start

    def start_and_override(
        self: NamespacesTarget, endpoint: Endpoint, tool: Any, group: str
    ) -> Any:
        if group == "client":
            output(command.split(), namespace=f"cnib-{self.name}.n2")
        return start(self, endpoint, tool, group)

    monkeypatch.setattr(NamespacesTarget, "start", start_and_override)
    ((status, reason),) = campaign(tmp_path, profile(overridden))
    assert status == "invalid"
    assert reason.startswith("tuning-in-force: n2/")
    ((failed,),) = select(tmp_path, "select coalesce(reason, '') from blocks")
    is_as_before = "gso" in command  # On again, as it was before: nothing to report.
    assert is_as_before or "somebody changed it after cnibench set '2'" in failed


def test_tuning_that_was_never_done_makes_the_cell_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.tune_nodes.apply_profile", lambda target, state, profile: state)
    ((status, reason),) = campaign(tmp_path, profile(sysctl("net.ipv4.tcp_sack", "0")))
    assert (status, reason) == (
        "invalid",
        "tuning-in-force: n1/net.ipv4.tcp_sack was never set; n2/net.ipv4.tcp_sack was never set",
    )


def test_a_cell_may_leave_the_congestion_control_to_the_profile(tmp_path: Path) -> None:
    tuned = Catalog().profiles.load("congestion-reno")
    traffic = TCP | {"congestion_control": "node"}
    assert campaign(tmp_path, tuned, of=matrix(traffic)) == [("ok", None)]
    assert select(tmp_path, "select congestion_control from measurements") == [("reno",)]


def test_the_mtu_of_a_profile_goes_before_that_of_the_target() -> None:
    of = job(("bridge-routes",))
    assert underlay_mtu(of, of.profiles[0]) == 1500
    assert underlay_mtu(of, Catalog().profiles.load("mtu-9000")) == 9000
