"""Every profile of the catalog on a cluster: taken back without a trace, also from half of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.layout import Lab
from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError, TransientError
from steps.lib.models import Profile
from steps.lib.restoring import restore
from steps.lib.targets import open_target
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.protocol import Target
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.lab import labs
from tests.lab.clusters import specification
from tests.tuning import STATE, machine, profile, sysctl

pytestmark = pytest.mark.lab

PROFILES = [p for p in Catalog().profiles if p.entries]
OF_A_NODE = ("sack-off", "timestamps-off", "window-scaling-off", "tso-off", "gro-off", "gso-off")
"""Profiles that a node of the lab can be given, since they are not of the kernel all share."""


@pytest.fixture(scope="module")
def target(lab: Lab, api: Api) -> Iterator[Target]:
    """The cluster, held by a block; nothing of the machine that all share is changed by it."""
    before = machine()
    held = open_target(specification(lab))
    with held.lock():
        held.prepare()
        held.save_state(STATE)
        yield held
        held.save_state(None)
        held.discard()
    assert machine() == before


def picture(target: Target) -> dict[str, Any]:
    """What there is on the nodes, and each value that any profile could change."""
    wanted = [entry.wanted for each in PROFILES for entry in each.entries]
    found: dict[str, Any] = {}
    for node in target.nodes():
        settings = {f.setting for look in target.look_up(node, wanted) for f in look.found}
        values = target.read_settings(node, sorted(settings))
        found[node.name] = (target.inventory(node), values)
    return found


@pytest.mark.parametrize("tuned", PROFILES, ids=lambda p: p.name)
def test_a_profile_leaves_no_difference_on_a_cluster_or_says_what_its_nodes_lack(
    target: Target, tuned: Profile
) -> None:
    before = picture(target)
    reason = unsupported(target, tuned)
    assert reason is None or tuned.name not in OF_A_NODE, reason
    if reason is not None:
        assert any(f"{e.wanted}" in reason for e in tuned.entries), reason
        with pytest.raises(RefusedError, match="nothing was changed"):
            apply_profile(target, STATE, tuned)
    else:
        state = apply_profile(target, STATE, tuned, before_install=True)
        state = apply_profile(target, state, tuned)
        assert read_back(target, state).wrong == ()
        assert {e.node for e in state.tuned} == {node.name for node in target.nodes()}
        assert restore(target, state)[1] == []
    assert picture(target) == before


def test_a_node_that_is_silent_from_the_start_keeps_no_other_one_tuned(
    target: Target, lab: Lab
) -> None:
    """Restoring is a process of its own, which has not asked any node yet."""
    name = "net.ipv4.tcp_sack"
    state = apply_profile(target, STATE, profile(sysctl(name, "0")))
    one, two = (node.name for node in target.nodes())
    labs.run(lab, "kill-node", two)
    try:
        afterwards = open_target(specification(lab))
        with pytest.raises(TransientError, match=f"{name} on {two} .*does not answer"):
            restore(afterwards, state)
        left = afterwards.load_state()
        assert left is not None and {e.node for e in left.journal} == {two}
        (entry,) = (e for e in state.journal if e.node == one)
        node = afterwards.nodes()[0]
        assert afterwards.read_settings(node, [entry.setting]) == {entry.setting: entry.before}
    finally:
        labs.run(lab, "up", "--only", "target")
    assert restore(target, left)[1] == []
