"""Each kind of setting on a real node: found, changed, read back; or lacking, with the reason."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from steps.lib.catalog import Catalog
from steps.lib.errors import InputError, RefusedError
from steps.lib.models import Entry, Profile, TargetSpec
from steps.lib.models.profile import GRAMMARS, Kind
from steps.lib.targets import open_target
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.protocol import Target
from steps.lib.targets.tuning import cpus, ethtool
from steps.lib.targets.tuning.access import Access
from steps.lib.targets.tuning.kinds import KINDS, look_up
from steps.lib.tuning import apply_profile, read_back, restore, unsupported
from tests.catalogs import PROFILE, change, complaint, make_catalog
from tests.tuning import STATE, UPLINK, entry, look, picture, profile, read, sysctl, wanted


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    target = open_target(TargetSpec(kind="namespaces", name="kinds"))
    target.prepare()
    target.save_state(STATE)
    yield target
    left = target.load_state()
    if left:
        restore(target, left)
    target.save_state(None)
    target.discard()


# ---------- as written
def test_each_kind_that_can_be_written_can_be_found_read_and_set() -> None:
    assert set(KINDS) == set(GRAMMARS) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{kind: mtu, scope: underlay_nic, value: '1279'}", "value: of kind mtu is 1280 to 65535"),
        ("{kind: mtu, scope: node, value: '9000'}", "scope: of kind mtu is underlay_nic, found 'n"),
        ("{kind: qdisc, scope: underlay_nic, name: x, value: fq}", "name: kind qdisc has none; le"),
        ("{kind: smt, scope: node, value: forceoff}", "value: of kind smt is `on` or `off`, fou"),
        ("{kind: mtuu, scope: node, value: '9000'}", "kind: 'mtuu' is not possible; did you mean"),
        ("{kind: ethtool_ring, scope: underlay_nic, name: rx, value: '0'}", "value: of kind ethto"),
        ("{kind: sysfs, scope: node, name: power/state, value: mem}", "name: expected a text that"),
        (
            "{kind: sysfs, scope: node, name: devices/system/cpu/cpu1/online, value: '0'}",
            "name: expected a text that",
        ),
        ("{kind: service_stopped, scope: node, name: kubelet, value: stopped}", "name: expected a"),
        ("{name: net.ipv4.ip_forward, scope: netns, value: '0'}", "value: '0' would cut the node"),
        ("{name: net.ipv4.conf.all.forwarding, scope: netns, value: '0'}", "value: '0' would cut"),
        ("{kind: irq_affinity, scope: underlay_nic, value: some}", "value: of kind irq_affinity"),
    ],
)
def test_an_entry_that_would_cut_a_node_off_or_means_nothing_is_refused_where_it_stands(
    tmp_path: Path, line: str, said: str
) -> None:
    folder = make_catalog(tmp_path)
    change(folder / PROFILE, "entries:\n", f"entries:\n  - {line}\n")
    assert f"profiles/tuned.yaml:4: entries.1.{said}" in complaint(folder)


def test_a_profile_extends_over_several_levels_and_the_last_word_counts(tmp_path: Path) -> None:
    folder = make_catalog(tmp_path) / "profiles"
    (folder / "third.yaml").write_text(
        "extends: tuned\nname: third\nentries:\n"
        '  - {name: net.core.rmem_max, value: "3", scope: node}\n'
        '  - {kind: ethtool_ring, name: rx, value: "512", scope: underlay_nic}\n'
        '  - {kind: ethtool_ring, name: tx, value: "512", scope: underlay_nic}\n'
        "  - {kind: qdisc, value: fq, scope: underlay_nic}\n"
    )
    (folder / "fourth.yaml").write_text(
        "extends: third\nname: fourth\nentries:\n"
        "  - {kind: qdisc, value: pfifo, scope: underlay_nic}\n"
        '  - {kind: ethtool_ring, name: rx, value: "1024", scope: underlay_nic}\n'
    )
    loaded = Catalog(tmp_path).profiles.load("fourth")
    assert [(str(e.wanted), e.value) for e in loaded.entries] == [
        ("net.core.wmem_max", "1"),
        ("net.core.rmem_max", "3"),
        ("ethtool_ring tx", "512"),
        ("qdisc", "pfifo"),
        ("ethtool_ring rx", "1024"),
    ]


def test_profiles_that_extend_each_other_or_nothing_known_are_refused(tmp_path: Path) -> None:
    folder = make_catalog(tmp_path)
    for name, parent in (("a", "b"), ("b", "a"), ("c", "tuneed")):
        (folder / f"profiles/{name}.yaml").write_text(f"extends: {parent}\nname: {name}\n")
    profiles = Catalog(folder).profiles
    with pytest.raises(InputError, match="runs in a circle: a -> b -> a; take one `extends` away"):
        profiles.load("a")
    with pytest.raises(InputError, match="found 'tuneed'; did you mean 'tuned'"):
        profiles.load("c")


@pytest.mark.parametrize("tuned", list(Catalog().profiles), ids=lambda p: p.name)
def test_each_profile_says_where_it_is_from(tuned: Profile) -> None:
    assert tuned.source or not tuned.entries


# ---------- on a node
@pytest.mark.namespaces
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


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (entry("ethtool_feature", "on", "lro"), "the driver of eth0 does not let large-receive-of"),
        (entry("ethtool_feature", "on", "no-such"), "eth0 has no such feature"),
        (entry("ethtool_ring", "4096", "rx"), "the driver of eth0 has none of it: netlink error:"),
        (entry("ethtool_coalesce", "10", "rx-usecs"), "the driver of eth0 has none of it: netlink"),
        (entry("ethtool_channels", "60000", "rx"), "at most, not 60000"),
        (entry("ethtool_channels", "1", "combined"), "the driver of eth0 has no such setting"),
        (entry("irq_affinity", "all"), "eth0 has no interrupts of its own"),
        (entry("congestion_control", "no_such"), "this kernel has no TCP congestion control 'no_s"),
        (entry("qdisc", "no_such"), "this kernel has no queue discipline 'no_such': Error:"),
        (entry("cpu_idle_state", "1", "state99"), "its processors have no such idle state"),
        (entry("kernel_cmdline", "7", "no_such"), "the node was not started with `no_such=7`"),
        (entry("sysfs", "1", "kernel/mm/no_such/x"), "there is no such file below /sys"),
        (sysctl("net.ipv4.route.flush", "1"), "this kernel does not have it, or it cannot be read"),
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
    (lacking,) = target.lacking(wanted(asked))
    assert said in lacking
    reason = unsupported(target, profile(asked))
    assert reason is not None and reason.startswith(f"profile tuned: {asked.wanted}: ")
    assert unsupported(target, profile(asked.model_copy(update={"optional": True}))) is None


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (entry("rps", "0,4095"), "there is no processor 4095 but 0"),
        (
            entry("sysfs", "maybe", "kernel/mm/transparent_hugepage/enabled"),
            "sysfs 'maybe' is not offered by /sys/kernel/mm/transparent_hugepage/enabled; there",
        ),
    ],
    ids=["rps", "choices"],
)
def test_a_value_that_is_not_offered_is_refused_although_the_entry_is_optional(
    target: Target, asked: Entry, said: str
) -> None:
    optional = asked.model_copy(update={"optional": True})
    with pytest.raises(RefusedError, match=re.escape(said)):
        apply_profile(target, STATE, profile(sysctl("net.ipv4.tcp_sack", "0"), optional))
    assert read(target, target.nodes()[0], "net.ipv4.tcp_sack") == "1"


@pytest.mark.namespaces
def test_two_entries_about_one_setting_are_refused(target: Target) -> None:
    twice = profile(
        entry("ethtool_feature", "off", "tso"),
        entry("ethtool_feature", "off", "tx-tcp-segmentation"),
    )
    with pytest.raises(RefusedError, match="both set ethtool_feature eth0 tx-tcp-segmentation; k"):
        apply_profile(target, STATE, twice)


@pytest.mark.namespaces
def test_a_queue_discipline_that_somebody_set_is_not_replaced(target: Target) -> None:
    namespace = f"cnib-{target.name}.n1"
    output(["tc", "qdisc", "replace", "dev", UPLINK, "root", "pfifo"], namespace=namespace)
    try:
        with pytest.raises(RefusedError, match="has the queue discipline pfifo, which somebody"):
            apply_profile(target, STATE, profile(entry("qdisc", "bfifo")))
    finally:
        output(["tc", "qdisc", "delete", "dev", UPLINK, "root"], namespace=namespace)


@pytest.mark.namespaces
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


@pytest.mark.namespaces
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


@pytest.mark.namespaces
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


# ---------- words of programs and of the kernel
RINGS = """\
Ring parameters for eth0:
Pre-set maximums:
RX:		256
RX Mini:	n/a
TX:		512
Current hardware settings:
RX:		128
RX Mini:	n/a
TX:		256
RX Buf Len:		n/a
TX Push:	off
"""
COALESCE = """\
Coalesce parameters for eth0:
Adaptive RX: off  TX: n/a
stats-block-usecs: n/a

rx-usecs: 0
rx-frames: 1
rx-usecs-irq: n/a

CQE mode RX: n/a  TX: n/a
"""


def test_what_ethtool_says_of_numbers_is_understood() -> None:
    present, most = ethtool.parse(RINGS)
    assert present == {"rx": "128", "tx": "256", "tx-push": "off"}
    assert most == {"rx": "256", "tx": "512"}
    present, most = ethtool.parse(COALESCE)
    assert present["adaptive-rx"] == "off" and "adaptive-tx" not in present
    assert (present["rx-usecs"], present["rx-frames"], most) == ("0", "1", {})


@pytest.mark.parametrize(
    ("mask", "shown"),
    [("0", "none"), ("3", "0-1"), ("00000000,0000000f", "0-3"), ("1,00000101", "0,8,32")],
)
def test_masks_of_processors_are_shown_as_lists(mask: str, shown: str) -> None:
    assert cpus.of_mask(mask) == shown


def test_lists_of_processors_become_masks_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 40)
    assert cpus.to_mask("0-3") == "0000000f"
    assert cpus.to_mask("0,8,32") == "00000001,00000101"
    assert cpus.to_mask("none") == "00000000"
    assert cpus.of_mask(cpus.to_mask("all")) == "0-39"
