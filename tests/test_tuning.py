"""Node tuning on real nodes: what is set is in force, what was set is undone, also after a kill."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Profile, Sysctl, TargetSpec
from steps.lib.state import BlockState
from steps.lib.targets import open_target
from steps.lib.targets.protocol import Target
from steps.lib.tuning import apply_profile, differences, restore

pytestmark = pytest.mark.namespaces

WHOLE_KERNEL = "net.core.netdev_max_backlog"
PER_NAMESPACE = "net.ipv4.tcp_fin_timeout"
BOTH = Profile(
    name="both",
    title="Both scopes",
    description="One setting of each scope.",
    entries=(
        Sysctl(name=WHOLE_KERNEL, value="1999", scope="node"),
        Sysctl(name=PER_NAMESPACE, value="23", scope="netns"),
    ),
)
STATE = BlockState(
    campaign="test",
    block="test",
    plugin="test",
    profile="both",
    repeat=1,
    store="results",
    install_id="test",
    boot_id="test",
    started_at=datetime.now(UTC),
    environment_fingerprint="test",
    inventory_before={},
)


def machine() -> str:
    return Path("/proc/sys/net/core/netdev_max_backlog").read_text().strip()


def values(target: Target) -> list[str | None]:
    return [target.read_setting(n, e.name) for n in target.nodes() for e in BOTH.entries]


@pytest.fixture
def target() -> Iterator[Target]:
    target = open_target(TargetSpec(kind="namespaces", name="tune"))
    before = machine()
    target.prepare()
    target.save_state(STATE)
    yield target
    left = target.load_state()
    if left:
        restore(target, left)
    target.save_state(None)
    target.discard()
    assert machine() == before, "the machine is not as it was"


def test_a_profile_is_in_force_after_it_is_applied_and_gone_after_it_is_restored(
    target: Target,
) -> None:
    before = values(target)
    state = apply_profile(target, STATE, BOTH)
    assert values(target) == ["1999", "23", "1999", "23"]
    assert differences(target, BOTH, ()) == []
    state, problems = restore(target, state)
    assert (values(target), problems, state.journal) == (before, [], ())


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


def test_a_setting_the_kernel_lacks_refuses_the_profile_before_anything_is_changed(
    target: Target,
) -> None:
    before = values(target)
    absent = Sysctl(name="net.ipv4.tcp_no_such_setting", value="1", scope="netns")
    with pytest.raises(RefusedError, match="tcp_no_such_setting on n1"):
        apply_profile(target, STATE, BOTH.model_copy(update={"entries": (*BOTH.entries, absent)}))
    assert values(target) == before
    assert (target.load_state() or STATE).journal == ()


def test_a_value_that_does_not_take_puts_everything_back(target: Target) -> None:
    before = values(target)
    refused = Sysctl(name="net.ipv4.tcp_fastopen", value="not-a-number", scope="netns")
    with pytest.raises(RefusedError, match="tcp_fastopen"):
        apply_profile(target, STATE, BOTH.model_copy(update={"entries": (*BOTH.entries, refused)}))
    left = target.load_state()
    assert left is not None
    restore(target, left)
    assert values(target) == before


def test_a_value_somebody_else_changed_is_reported_and_left_alone(target: Target) -> None:
    state = apply_profile(target, STATE, BOTH)
    node = target.nodes()[0]
    target.write_setting(node, PER_NAMESPACE, "42")
    state, problems = restore(target, state)
    assert target.read_setting(node, PER_NAMESPACE) == "42"
    assert len(problems) == 1
    assert "somebody changed it" in problems[0]
    assert [e.name for e in state.journal] == [PER_NAMESPACE]


def test_a_setting_that_is_not_in_force_is_found(target: Target) -> None:
    apply_profile(target, STATE, BOTH)
    target.write_setting(target.nodes()[1], PER_NAMESPACE, "42")
    assert differences(target, BOTH, ()) == [f"{PER_NAMESPACE} on n2 is '42', not '23'"]


def _killed_at_save(name: str, number: int) -> None:
    """Apply the profile, and die by SIGKILL right after the ``number``-th save of the state."""
    target = open_target(TargetSpec(kind="namespaces", name=name))
    save = target.save_state
    saved = 0

    def save_and_die(state: BlockState | None) -> None:
        nonlocal saved
        save(state)
        saved += 1
        if saved == number:
            os.kill(os.getpid(), signal.SIGKILL)

    target.save_state = save_and_die  # type: ignore[method-assign]
    apply_profile(target, STATE, BOTH)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_kill_after_any_save_is_undone_by_the_next_start(target: Target, number: int) -> None:
    before = values(target)
    process = multiprocessing.get_context("fork").Process(
        target=_killed_at_save, args=(target.name, number)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    target.prepare()
    stale = target.load_state()
    assert stale is not None
    _, problems = restore(target, stale)
    assert (values(target), problems) == (before, [])
