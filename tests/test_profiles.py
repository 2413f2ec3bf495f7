"""Profiles as files: what an entry may say, how profiles extend each other, what words mean."""

from pathlib import Path
from typing import get_args

import pytest

from steps.lib.catalog import Catalog
from steps.lib.errors import InputError, RefusedError
from steps.lib.models import Profile
from steps.lib.models.profile import GRAMMARS, Kind
from steps.lib.targets.namespaces.tuning import cpus, ethtool
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import KINDS
from tests.catalogs import PROFILE, change, complaint, make_catalog


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
        (
            "{kind: sysfs, scope: node, name: power/state, value: mem}",
            "name: expected a name on the list",
        ),
        (
            "{kind: sysfs, scope: node, name: devices/system/cpu/cpu1/online, value: '0'}",
            "name: expected a name on the list",
        ),
        ("{kind: service_stopped, scope: node, name: kubelet, value: stopped}", "name: expected a"),
        (
            "{name: net.ipv4.ip_forward, scope: netns, value: '0'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv4.ip_forward, scope: netns, value: '00'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv4.conf.all.forwarding, scope: netns, value: '0'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv6.conf.all.forwarding, scope: netns, value: '1'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv4.neigh.default.gc_thresh3, scope: netns, value: '1'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv4.tcp_mem, scope: node, value: '1 1 1'}",
            "name: expected a name on the list",
        ),
        (
            "{name: net.ipv4.conf.*.rp_filter, scope: netns, value: '2'}",
            "name: expected a name on the list",
        ),
        (
            "{name: kernel.modules_disabled, scope: node, value: '1'}",
            "name: expected a name on the list",
        ),
        ("{name: net.netfilter.nf_conntrack_max, scope: node, value: '1'}", "value: of net.netf"),
        ("{name: net.core.netdev_budget, scope: node, value: '00'}", "value: of net.core.netdev"),
        ("{name: net.core.netdev_budget, scope: node, value: '0x1'}", "value: of net.core.netdev"),
        ("{name: vm.min_free_kbytes, scope: node, value: '99999999'}", "value: of vm.min_free_kby"),
        ("{name: net.core.default_qdisc, scope: node, value: blackhole}", "value: of net.core.def"),
        ("{name: net.ipv4.ip_local_port_range, scope: netns, value: 9 9}", "value: of net.ipv4.ip"),
        ("{kind: qdisc, scope: underlay_nic, value: blackhole}", "value: of kind qdisc is one of"),
        ("{kind: qdisc, scope: underlay_nic, value: drr}", "value: of kind qdisc is one of"),
        (
            "{kind: ethtool_feature, scope: underlay_nic, name: loopback, value: 'on'}",
            "name: expected a name on the list",
        ),
        (
            "{kind: sysfs, scope: node, name: module/tcp_bbr/parameters/x, value: '1'}",
            "name: expected a name on the list",
        ),
        (
            "{kind: sysfs, scope: node, value: '9999999',"
            " name: kernel/mm/hugepages/hugepages-2048kB/nr_hugepages}",
            "name: expected a name on the list",
        ),
        ("{name: net.ipv4.tcp_rmem, scope: netns, value: 1 1 1}", "value: of net.ipv4.tcp_rmem is"),
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


def test_a_kernel_that_can_open_no_sys_of_a_namespace_uses_the_one_that_is_mounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steps.lib.targets.namespaces.tuning.access._FSOPEN", 99999)
    with Access("/proc/self/ns/net", "eth0").sys() as root:
        assert root == Path("/sys")
    elsewhere = Access("/proc/self/ns/mnt", "eth0")
    with pytest.raises(RefusedError, match=r"Linux 5\.2 or later only"):
        elsewhere._mounted_sys()


@pytest.mark.parametrize(
    ("mask", "shown"),
    [("0", "none"), ("3", "0-1"), ("00000000,0000000f", "0-3"), ("1,00000101", "0,8,32")],
)
def test_masks_of_processors_are_shown_as_lists(mask: str, shown: str) -> None:
    assert cpus.of_mask(mask) == shown


def test_lists_of_processors_become_masks_in_groups() -> None:
    assert cpus.to_mask("0-3") == "0000000f"
    assert cpus.to_mask("0,8,32") == "00000001,00000101"
    assert cpus.to_mask("none") == "00000000"
    assert cpus.of_mask(cpus.to_mask("0-39")) == "0-39"


def test_processors_are_those_in_use_whose_numbers_may_have_gaps(tmp_path: Path) -> None:
    folder = tmp_path / "devices/system/cpu"
    folder.mkdir(parents=True)
    (folder / "online").write_text("0,2-4,6\n")
    there = cpus.online(tmp_path)
    assert cpus.parse("all", there) == [0, 2, 3, 4, 6]
    assert cpus.parse("none", there) == []
    with pytest.raises(RefusedError, match="there is no processor 1,5 but 0,2-4,6 only"):
        cpus.parse("0-6", there)
