"""Each kind of setting on a real node: found, changed, read back; or lacking, with the reason."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Entry
from steps.lib.restoring import restore
from steps.lib.setting import Setting
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import KINDS, look_up
from steps.lib.targets.protocol import Target
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.tuning import (
    STATE,
    UPLINK,
    entry,
    held_target,
    look,
    picture,
    profile,
    read,
    sysctl,
    unlisted,
    wanted,
)

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with held_target("kinds") as target:
        yield target


@pytest.mark.parametrize(
    "changed",
    [
        entry("ethtool_feature", "off", "tso"),
        entry("ethtool_feature", "off", "gso"),
        entry("ethtool_feature", "on", "gro"),
        entry("ethtool_feature", "off", "rx"),
        entry("ethtool_feature", "off", "tx"),
        entry("ethtool_feature", "off", "tx-tcp-segmentation"),
        entry("ethtool_channels", "2", "rx"),
        entry("qdisc", "pfifo"),
        entry("rps", "0"),
        entry("rps", "all"),
        entry("congestion_control", "reno"),
        entry("cpu_latency", "7"),
        entry("cpu_idle_state", "1", "state[1-9]*"),
        entry("sysfs", "never", "kernel/mm/transparent_hugepage/enabled"),
    ],
    ids=lambda e: f"{e.wanted}={e.value}",
)
def test_a_kind_takes_effect_on_both_nodes_and_is_taken_back(
    target: Target, changed: Entry
) -> None:
    (reason,) = look(target, changed)
    if isinstance(reason, str):
        pytest.skip(reason)  # Of the kernel that runs the tests.
    before = picture(target)
    state = apply_profile(target, STATE, profile(changed))
    during = picture(target)
    assert read_back(target, state).wrong == ()
    assert {e.node for e in state.journal} == {"n1", "n2"}
    _, problems = restore(target, state)
    assert problems == []
    assert picture(target) == before
    assert during != before or all(e.before == e.intended for e in state.tuned)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (entry("ethtool_feature", "on", "lro"), "the driver of eth0 does not let large-receive-of"),
        (unlisted("ethtool_feature", "on", "no-such"), "eth0 has no such feature"),
        (entry("ethtool_ring", "4096", "rx"), "the driver of eth0 has none of it: netlink error:"),
        (entry("ethtool_coalesce", "10", "rx-usecs"), "the driver of eth0 has none of it: netlink"),
        (entry("ethtool_channels", "60000", "rx"), "at most, not 60000"),
        (entry("ethtool_channels", "1", "combined"), "the driver of eth0 has no such setting"),
        (entry("irq_affinity", "all"), "eth0 has no interrupts of its own"),
        (entry("congestion_control", "no_such"), "this kernel has no TCP congestion control 'no_s"),
        (unlisted("qdisc", "no_such"), "this kernel has no queue discipline 'no_such': Error:"),
        (entry("cpu_idle_state", "1", "state99"), "its processors have no such idle state"),
        (entry("kernel_cmdline", "7", "no_such"), "the node was not started with `no_such=7`"),
        (entry("sysfs", "1", "kernel/mm/no_such/x"), "there is no such file below /sys"),
        (
            unlisted("sysctl", "no_such", "net.core.default_qdisc"),
            "this kernel has no queue discipline 'no_such': Error:",
        ),
        (
            unlisted("sysctl", "1", "net.ipv4.route.flush"),
            "this kernel does not have it, or it cannot be read",
        ),
    ],
    ids=lambda x: str(x.wanted) if isinstance(x, Entry) else "",
)
def test_what_a_node_lacks_is_found_by_looking_and_named(
    target: Target, asked: Entry, said: str
) -> None:
    (found,) = look(target, asked)
    assert isinstance(found, str)
    assert found.startswith(f"{asked.wanted}: ") and said in found
    # Asked before the target is up, too.
    (lacking,) = target.lacking(wanted(asked)).values()
    assert said in lacking
    tuned = profile().model_copy(update={"entries": (asked,)})  # Also what no file could have.
    reason = unsupported(target, tuned)
    assert reason is not None and reason.startswith(f"profile tuned: {asked.wanted}: ")
    optional = asked.model_copy(update={"optional": True})
    assert unsupported(target, tuned.model_copy(update={"entries": (optional,)})) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (entry("rps", "0,4095"), "there is no processor 4095 but 0"),
        (
            entry("sysfs", "maybe", "kernel/mm/transparent_hugepage/enabled"),
            "sysfs 'maybe' is not offered by /sys/kernel/mm/transparent_hugepage/enabled; there",
        ),
        (
            sysctl("net.core.rmem_max", "1", "netns"),
            "net.core.rmem_max: is of scope node on this kernel, the profile says netns; write",
        ),
        (
            sysctl("net.ipv4.tcp_rmem", "4096 65536 7654321", "node"),
            "is of scope netns on this kernel",
        ),
    ],
    ids=["rps", "choices", "netns", "node"],
)
def test_a_value_that_is_not_offered_is_refused_although_the_entry_is_optional(
    target: Target, asked: Entry, said: str
) -> None:
    optional = asked.model_copy(update={"optional": True})
    with pytest.raises(RefusedError, match=re.escape(said)):
        apply_profile(target, STATE, profile(sysctl("net.ipv4.tcp_sack", "0"), optional))
    assert read(target, target.nodes()[0], "net.ipv4.tcp_sack") == "1"


def test_queues_that_a_profile_adds_are_steered_as_well(target: Target) -> None:
    before = picture(target)
    channels = entry("ethtool_channels", "2", "rx")
    state = apply_profile(target, STATE, profile(entry("rps", "0"), channels))
    assert [e.name for e in state.journal if e.node == "n1"] == ["rx", "rx-0", "rx-1"]
    assert restore(target, state)[1] == []
    assert picture(target) == before


def test_a_steered_queue_is_not_taken_away_since_it_would_come_back_unsteered(
    target: Target,
) -> None:
    added = apply_profile(target, STATE, profile(entry("ethtool_channels", "2", "rx")))
    one = target.nodes()[0]
    steering = Setting("rps", UPLINK, "rx-1")
    target.write_setting(one, steering, "0")
    with pytest.raises(
        RefusedError, match=r"rx-1 \(0\). Take that away first; nothing was changed"
    ):
        apply_profile(target, added, profile(entry("ethtool_channels", "1", "rx")))
    assert target.read_settings(one, [steering]) == {steering: "0"}
    assert restore(target, added)[1] == []


def test_two_entries_about_one_setting_are_refused(target: Target) -> None:
    twice = profile(
        entry("ethtool_feature", "off", "tso"),
        entry("ethtool_feature", "off", "tx-tcp-segmentation"),
    )
    with pytest.raises(RefusedError, match="both set ethtool_feature eth0 tx-tcp-segmentation; k"):
        apply_profile(target, STATE, twice)


def test_a_queue_discipline_that_somebody_set_is_not_replaced(target: Target) -> None:
    namespace = f"cnib-{target.name}.n1"
    output(["tc", "qdisc", "replace", "dev", UPLINK, "root", "pfifo"], namespace=namespace)
    try:
        with pytest.raises(RefusedError, match="has the queue discipline pfifo, which somebody"):
            apply_profile(target, STATE, profile(entry("qdisc", "bfifo")))
    finally:
        output(["tc", "qdisc", "delete", "dev", UPLINK, "root"], namespace=namespace)


def test_a_congestion_control_that_is_not_allowed_is_allowed_for_the_time(target: Target) -> None:
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    before, default = allowed.read_text(), "net.ipv4.tcp_congestion_control"
    own = read(target, target.nodes()[0], default) or ""
    if own == "cubic":
        pytest.skip("cubic is the default of this machine already")
    allowed.write_text("reno")
    try:
        (found,) = look(target, entry("congestion_control", "cubic"))
        if isinstance(found, str):
            pytest.skip(found)
        assert found == (f"reno {own} cubic", "cubic")
        state = apply_profile(target, STATE, profile(entry("congestion_control", "cubic")))
        assert read(target, target.nodes()[1], default) == "cubic"
        assert restore(target, state)[1] == []
        assert read(target, target.nodes()[1], default) == own
        assert allowed.read_text() == "reno\n"
    finally:
        allowed.write_text(before)


def test_a_service_that_runs_is_seen_and_one_that_nothing_can_stop_is_lacking(
    target: Target, tmp_path: Path
) -> None:
    asked = entry("service_stopped", "stopped", "thermald")
    assert look(target, asked) == [("stopped",)]
    program = tmp_path / "thermald"
    program.write_bytes(Path("/usr/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as process:
        try:
            (found,) = look(target, asked)
            assert isinstance(found, str)
            assert "thermald runs and nothing can stop it" in found
        finally:
            process.kill()


def test_coalescing_and_channels_of_a_device_that_has_them_are_set() -> None:
    with netns.scratch():
        output(["ip", "tuntap", "add", "dev", "tap0", "mode", "tap"])
        access = Access("/proc/thread-self/ns/net", "tap0")
        asked = entry("ethtool_coalesce", "16", "rx-frames")
        ((found,), lacking) = look_up(access, wanted(asked))[0]
        assert (found.present, found.intended, lacking) == ("0", "16", None)
        kind = KINDS["ethtool_coalesce"]
        kind.write(access, found.setting, "16")
        assert kind.read(access, found.setting) == "16"
        assert re.search(r"rx-frames:\s+16", output(["ethtool", "--show-coalesce", "tap0"]))


def test_interrupts_and_rings_of_a_real_card_are_found_without_a_change() -> None:
    cards = [f.parent.name for f in Path("/sys/class/net").glob("*/device")]
    if not cards:
        pytest.skip("this machine has no network card")
    access = Access("/proc/self/ns/net", cards[0])
    interrupts, ring = look_up(
        access, wanted(entry("irq_affinity", "all"), entry("ethtool_ring", "64", "rx"))
    )
    if interrupts.lacking or ring.lacking:
        pytest.skip(f"{interrupts.lacking}; {ring.lacking}")
    listed = Path("/proc/interrupts").read_text()
    for found in interrupts.found:
        assert re.search(rf"^ *{found.setting.name}:", listed, re.MULTILINE)
    assert [int(f.intended) for f in interrupts.found] == [
        turn % (os.cpu_count() or 1) for turn in range(len(interrupts.found))
    ]
    assert int(ring.found[0].present) > 0
