"""Each known way to a wrong name on a number, by tuning, is committed here for real and is caught.

They were seen in published benchmark code and by hand: values that outlive their level, guessed
defaults, swallowed errors, wrong devices, pods that are older than the tuning.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError
from steps.lib.models import Profile, TargetSpec
from steps.lib.restoring import restore
from steps.lib.state import BlockState
from steps.lib.targets import open_target
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Target
from steps.lib.tuning import apply_profile, read_back
from tests.tuning import STATE, UPLINK, entry, picture, profile, read, sysctl

pytestmark = pytest.mark.namespaces

RMEM = "net.ipv4.tcp_rmem"
TUNED_RMEM = profile(sysctl(RMEM, "4096 65536 7654321"))


@pytest.fixture(scope="module")
def installed() -> Iterator[Target]:
    target = open_target(TargetSpec(kind="namespaces", name="leaks"))
    target.prepare()
    target.install(Catalog().plugins.load("bridge-routes"), "test")
    yield target
    target.save_state(None)
    target.discard()


@pytest.fixture
def target(installed: Target) -> Iterator[Target]:
    before = picture(installed)
    installed.save_state(STATE)
    yield installed
    restore(installed, installed.load_state() or STATE)
    assert picture(installed) == before


def on(target: Target, node: str, *command: str) -> None:
    """Do something on a node as anybody could."""
    output(command, namespace=f"cnib-{target.name}.{node}")


def applied(target: Target, tuned: Profile) -> BlockState:
    return apply_profile(target, STATE, tuned)


def in_pod(target: Target, state: BlockState, pod: Endpoint) -> tuple[str, ...]:
    return read_back(target, state, [pod]).wrong


def test_the_file_is_removed_and_the_value_still_runs(target: Target, tmp_path: Path) -> None:
    """Level 2's clean-up: the running value stays, and would go into the levels after it."""
    before = picture(target)
    file = tmp_path / "90-test.conf"
    file.write_text("net.ipv4.tcp_sack = 0\n")
    on(target, "n1", "sysctl", "--load", str(file))
    file.unlink()
    assert read(target, target.nodes()[0], "net.ipv4.tcp_sack") == "0"
    on(target, "n1", "sysctl", "--write", "net.ipv4.tcp_sack=1")
    state = applied(target, profile(sysctl("net.ipv4.tcp_sack", "0")))
    assert read(target, target.nodes()[0], "net.ipv4.tcp_sack") == "0"
    restore(target, state)  # Nobody writes the value that was there but the journal.
    assert picture(target) == before


def test_what_one_level_changes_is_gone_before_the_next(target: Target) -> None:
    before = picture(target)
    levels = (
        profile(sysctl("net.ipv4.tcp_fastopen", "3"), sysctl(RMEM, "4096 87380 16777216")),
        profile(entry("ethtool_feature", "off", "tso"), entry("ethtool_feature", "off", "gso")),
        profile(sysctl("vm.swappiness", "10", "node"), entry("cpu_latency", "99")),
    )
    for level in levels:
        state = applied(target, level)
        assert {e.before for e in state.tuned} != {e.after for e in state.tuned}
        assert restore(target, state)[1] == []
        assert picture(target) == before


def test_the_values_from_before_come_back_and_no_guessed_default(target: Target) -> None:
    """Their clean-up turns features off that may have been on, and the other way round."""
    on(target, "n1", "ethtool", "--features", UPLINK, "gso", "off")
    try:
        before = picture(target)
        state = applied(target, profile(entry("ethtool_feature", "on", "gso")))
        assert [(e.node, e.before, e.after) for e in state.tuned] == [
            ("n1", "off", "on"),
            ("n2", "on", "on"),
        ]
        assert restore(target, state)[1] == []
        assert picture(target) == before
    finally:
        on(target, "n1", "ethtool", "--features", UPLINK, "gso", "on")


def test_an_error_in_the_middle_stops_and_undoes_the_rest(target: Target) -> None:
    """`sysctl -w a; sysctl -w b` goes on after an error: one series ran with another value."""
    before = picture(target)
    misspelt = sysctl("net.ipv4.tcp_congestion_control", "cubicc")
    with pytest.raises(RefusedError, match="tcp_congestion_control cannot be set to 'cubicc'"):
        applied(target, profile(sysctl("net.ipv4.tcp_sack", "0"), misspelt))
    assert picture(target) == before


def test_a_level_with_a_misspelt_setting_is_not_begun(target: Target) -> None:
    tuned = profile(sysctl("net.ipv4.tcp_sack", "0"), sysctl("net.ipv4.tcp_sak", "0"))
    with pytest.raises(RefusedError, match=r"n1: net\.ipv4\.tcp_sak: this kernel does not have it"):
        applied(target, tuned)
    assert read(target, target.nodes()[0], "net.ipv4.tcp_sack") == "1"


def test_only_the_device_of_the_role_is_changed_and_the_journal_has_its_name(
    target: Target,
) -> None:
    """Every device without "lo" in its name was changed there, those of plugins too."""
    with target.endpoint(EndpointRequest("pod", "pod", 0)) as pod:
        assert pod.pair is not None
        devices = ("cni0", pod.pair, "lo")
        listed = [features(target, device) for device in devices]
        state = applied(target, profile(entry("ethtool_feature", "off", "tso")))
        assert {e.place for e in state.journal} == {UPLINK}
        assert [features(target, device) for device in devices] == listed


def features(target: Target, device: str) -> str:
    namespace = f"cnib-{target.name}.n1"
    return output(["ethtool", "--show-features", device], namespace=namespace)


def test_a_pod_that_is_older_than_the_tuning_is_found(target: Target) -> None:
    with target.endpoint(EndpointRequest("old", "pod", 0)) as old:
        state = applied(target, TUNED_RMEM)
        with target.endpoint(EndpointRequest("new", "pod", 0)) as new:
            assert in_pod(target, state, new) == ()
        (wrong,) = in_pod(target, state, old)
        assert wrong.startswith(f"old/{RMEM} is ") and wrong.endswith("not '4096 65536 7654321'")


def test_a_plugin_that_overrides_a_setting_after_the_tuning_is_found(target: Target) -> None:
    """As plugins do with `rp_filter`: right before the window, wrong after it."""
    name = f"net.ipv4.conf.{UPLINK}.rp_filter"
    state = applied(target, profile(sysctl(name, "2")))
    assert read_back(target, state).wrong == ()
    on(target, "n2", "sysctl", "--write", f"{name}=1")
    assert read_back(target, state).wrong == (f"n2/{name} is '1', not '2'",)
    on(target, "n2", "sysctl", "--write", f"{name}=2")


def test_a_feature_that_is_turned_on_again_after_the_tuning_is_found(target: Target) -> None:
    """Offloads come back when a link is made anew or a driver is loaded again."""
    state = applied(target, profile(entry("ethtool_feature", "off", "gso")))
    on(target, "n1", "ethtool", "--features", UPLINK, "gso", "on")
    (wrong,) = read_back(target, state).wrong
    assert wrong == f"n1/ethtool_feature {UPLINK} generic-segmentation-offload is 'on', not 'off'"
    on(target, "n1", "ethtool", "--features", UPLINK, "gso", "off")


def test_an_mtu_on_one_side_only_is_found(target: Target) -> None:
    state = apply_profile(target, STATE, profile(entry("mtu", "9000")), before_install=True)
    assert {e.node for e in state.tuned} == {"n1", "n2"}
    on(target, "n2", "ip", "link", "set", "dev", UPLINK, "mtu", "1500")
    assert read_back(target, state).wrong == (f"n2/mtu {UPLINK} is '1500', not '9000'",)
    on(target, "n2", "ip", "link", "set", "dev", UPLINK, "mtu", "9000")
