"""Node tuning on real nodes: what is set is in force, what was set is undone, also after a kill."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Profile, TargetSpec
from steps.lib.restoring import restore
from steps.lib.setting import Setting
from steps.lib.settle import settle
from steps.lib.targets import open_target
from steps.lib.targets.namespaces import netns
from steps.lib.targets.protocol import Target
from steps.lib.tuning import apply_profile, read_back
from tests.tuning import (
    BOTH,
    PER_NAMESPACE,
    STATE,
    WHOLE_KERNEL,
    entry,
    held_target,
    machine,
    picture,
    profile,
    read,
    sysctl,
)

pytestmark = pytest.mark.namespaces

OF_A_LINK = profile(
    entry("ethtool_feature", "on", "gro"),
    entry("ethtool_feature", "off", "tso"),
    entry("qdisc", "pfifo"),
)
EVERY_KIND = profile(
    *BOTH.entries,
    entry("congestion_control", "reno"),
    entry("ethtool_channels", "2", "rx"),
    entry("ethtool_feature", "off", "tso"),
    entry("ethtool_feature", "off", "tx"),
    entry("ethtool_feature", "on", "gro"),
    entry("qdisc", "pfifo"),
    entry("rps", "0"),
    entry("cpu_latency", "7"),
    entry("sysfs", "2048", "kernel/mm/transparent_hugepage/khugepaged/pages_to_scan"),
    entry("service_stopped", "stopped", "packagekit"),
)
"""All that the embedded target can change, but for the MTU, which has a moment of its own."""


def values(target: Target) -> list[str | None]:
    return [read(target, n, e.name) for n in target.nodes() for e in BOTH.entries]


@pytest.fixture
def target() -> Iterator[Target]:
    before = machine()
    with held_target("tune") as target:
        yield target
    assert machine() == before, "the machine is not as it was"


@pytest.mark.parametrize("tuned", [BOTH, OF_A_LINK, EVERY_KIND], ids=["sysctl", "link", "every"])
def test_a_profile_is_in_force_after_it_is_applied_and_gone_after_it_is_restored(
    target: Target, tuned: Profile
) -> None:
    before = picture(target)
    state = apply_profile(target, STATE, tuned)
    assert picture(target) != before
    assert read_back(target, state).wrong == ()
    assert set(read_back(target, state).values) == {f"{e.node}/{e.setting}" for e in state.journal}
    state, problems = restore(target, state)
    assert (picture(target), problems, state.journal) == (before, [], ())


def test_the_record_of_what_was_set_survives_restoring(target: Target) -> None:
    state, _ = restore(target, apply_profile(target, STATE, BOTH))
    assert [(e.node, e.name) for e in state.tuned] == [
        (n.name, e.name) for e in BOTH.entries for n in target.nodes()
    ]
    assert all(e.after == e.intended for e in state.tuned)


def test_restoring_twice_changes_nothing(target: Target) -> None:
    state, _ = restore(target, apply_profile(target, STATE, BOTH))
    before = values(target)
    assert restore(target, state) == (state, [])
    assert values(target) == before


def test_the_mtu_is_set_before_a_plugin_is_installed_and_nothing_else_is(target: Target) -> None:
    before = picture(target)
    tuned = profile(*BOTH.entries, entry("mtu", "9000"))
    state = apply_profile(target, STATE, tuned, before_install=True)
    assert [(e.kind, e.place, e.intended) for e in state.journal] == [("mtu", "eth0", "9000")] * 2
    assert state.mtu_bytes == 9000
    assert all(read(target, node, "", "mtu") == "9000" for node in target.nodes())
    state = apply_profile(target, state, tuned)
    assert [e.kind for e in state.journal] == ["mtu", "mtu", *["sysctl"] * 4]
    assert restore(target, state)[1] == []
    assert picture(target) == before


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        (sysctl("net.ipv4.tcp_no_such_setting", "1"), "tcp_no_such_setting: this kernel"),
        (sysctl("net.ipv4.tcp_available_congestion_control", "x"), "it can only be read"),
        (entry("ethtool_ring", "4096", "rx"), "ethtool_ring rx: the driver of eth0 has none"),
    ],
    ids=["absent", "read-only", "ring"],
)
def test_a_setting_the_node_lacks_refuses_the_profile_before_anything_is_changed(
    target: Target, absent: object, said: str
) -> None:
    before = values(target)
    tuned = BOTH.model_copy(update={"entries": (*BOTH.entries, absent)})
    with pytest.raises(RefusedError, match=f"n1: .*{said}.*n2: .*nothing was changed"):
        apply_profile(target, STATE, tuned)
    assert values(target) == before
    assert (target.load_state() or STATE).journal == ()


def test_an_optional_setting_the_node_lacks_is_recorded_and_makes_another_digest(
    target: Target,
) -> None:
    ring = entry("ethtool_ring", "4096", "rx", optional=True)
    state = apply_profile(target, STATE, profile(*BOTH.entries, ring))
    assert [e.kind for e in state.journal] == ["sysctl"] * 4
    assert state.lacking.keys() == {"n1", "n2"}
    assert "ethtool_ring rx" in state.lacking["n1"][0]
    found = read_back(target, state)
    assert found.wrong == ()
    without = read_back(target, state.model_copy(update={"lacking": {}}))
    assert found.digest != without.digest


def test_a_value_that_does_not_take_puts_everything_back(target: Target) -> None:
    before = picture(target)
    refused = sysctl("net.ipv4.tcp_fastopen", "not-a-number")
    entries = (*OF_A_LINK.entries, *BOTH.entries, refused)
    with pytest.raises(RefusedError, match=r"tcp_fastopen.*all settings were put back"):
        apply_profile(target, STATE, profile(*entries))
    assert picture(target) == before
    assert (target.load_state() or STATE).journal == ()


def test_a_value_that_the_kernel_rounds_is_put_back_as_well(target: Target) -> None:
    before = picture(target)
    rounded = sysctl(WHOLE_KERNEL, "0x7cf", "node")  # Is taken, and reads back as 1999.
    with pytest.raises(RefusedError, match="reads back '1999'; all settings were put back"):
        apply_profile(target, STATE, profile(rounded))
    assert picture(target) == before


def test_a_value_somebody_else_changed_is_reported_and_left_alone(target: Target) -> None:
    state = apply_profile(target, STATE, BOTH)
    node = target.nodes()[0]
    target.write_setting(node, Setting("sysctl", "netns", PER_NAMESPACE), "42")
    state, problems = restore(target, state)
    assert read(target, node, PER_NAMESPACE) == "42"
    assert len(problems) == 1
    assert "somebody changed it" in problems[0]
    assert [e.name for e in state.journal] == [PER_NAMESPACE]


def test_what_was_set_before_the_nodes_last_boot_is_forgotten_and_not_written(
    target: Target,
) -> None:
    state = apply_profile(target, STATE, BOTH)
    earlier = [e.model_copy(update={"boot_id": "the one before"}) for e in state.journal]
    found, problems = restore(target, state.model_copy(update={"journal": tuple(earlier)}))
    assert (found.journal, problems) == ((), [])
    assert values(target) == ["1999", "23"] * 2
    assert restore(target, state)[1] == []


def test_a_setting_that_is_not_in_force_is_found(target: Target) -> None:
    state = apply_profile(target, STATE, BOTH)
    two = target.nodes()[1]
    target.write_setting(two, Setting("sysctl", "netns", PER_NAMESPACE), "42")
    assert read_back(target, state).wrong == (f"n2/{PER_NAMESPACE} is '42', not '23'",)


def _killed_at_step(name: str, number: int, tuned: Profile) -> None:
    """Apply the profile, and die by SIGKILL right after the ``number``-th save or change."""
    target = open_target(TargetSpec(kind="namespaces", name=name))
    done = 0

    def and_die(step: Callable[..., None]) -> Callable[..., None]:
        def stepping(*arguments: object) -> None:
            nonlocal done
            step(*arguments)
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return stepping

    target.save_state = and_die(target.save_state)  # type: ignore[method-assign]
    target.write_setting = and_die(target.write_setting)  # type: ignore[method-assign]
    apply_profile(target, STATE, tuned)


def test_a_kill_after_any_save_or_change_is_undone_on_the_nodes_as_they_were_left(
    target: Target,
) -> None:
    before = picture(target)
    journal = apply_profile(target, STATE, EVERY_KIND).journal
    entries = len(list(groupby(journal, lambda e: e.asked)))
    steps = 2 * entries + len([e for e in journal if e.before != e.intended])
    restore(target, target.load_state() or STATE)
    unread = 0
    for number in range(1, steps + 1):
        process = multiprocessing.get_context("fork").Process(
            target=_killed_at_step, args=(target.name, number, EVERY_KIND)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        stale = target.load_state()
        assert stale is not None and stale.journal
        unread += stale.journal[-1].after is None
        assert restore(target, stale)[1] == [], number
        assert picture(target) == before, number
    assert unread == steps - entries, "killed before reading back, too"


def test_a_kill_is_undone_by_the_next_start_that_builds_the_nodes_anew(target: Target) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_killed_at_step, args=(target.name, 3, BOTH)
    )
    process.start()
    process.join()
    target.prepare()
    assert read(target, target.nodes()[0], WHOLE_KERNEL) == "1999", "the machine's own outlives it"
    assert restore(target, target.load_state() or STATE)[1] == []


@pytest.mark.parametrize("is_half_made", [True, False], ids=["half made", "gone"])
def test_settings_are_put_back_where_a_namespace_of_a_node_did_not_outlive_a_kill(
    target: Target, tmp_path: Path, is_half_made: bool
) -> None:
    of_machine = machine()
    state = STATE.model_copy(update={"store": str(tmp_path)})
    apply_profile(target, state, BOTH)
    name = f"cnib-{target.name}.{target.nodes()[1].name}"
    netns.delete(name)
    if is_half_made:
        netns.path(name).touch()
    settle(target)
    assert target.load_state() is None
    assert machine() == of_machine
    target.save_state(STATE)
