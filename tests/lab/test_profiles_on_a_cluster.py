"""Every profile of the catalog on the nodes of a cluster: applied, taken back without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.layout import Lab
from steps.lib.catalog import Catalog
from steps.lib.errors import RefusedError, TransientError
from steps.lib.models import Profile
from steps.lib.restoring import restore
from steps.lib.setting import Setting
from steps.lib.settle import settle
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.target import KubernetesTarget
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.lab.clusters import attached, specification
from tests.lab.labs import run
from tests.tuning import STATE, picture

pytestmark = pytest.mark.lab

PROFILES = [p for p in Catalog().profiles if p.entries]
OF_A_NODE_ALONE = [
    p for p in PROFILES if all(e.kind == "sysctl" and e.scope == "netns" for e in p.entries)
]
"""Their settings are of a network namespace: nodes that share a kernel have each their own."""


@contextmanager
def opened(lab: Lab) -> Iterator[KubernetesTarget]:
    """The target as a stage opens it, which is a process of its own."""
    target = KubernetesTarget(specification(lab))
    try:
        yield target
    finally:
        target._all_agents.close()


@pytest.fixture(scope="module")
def target(lab: Lab, api: Api) -> Iterator[KubernetesTarget]:
    with attached(lab), opened(lab) as target:
        target.save_state(STATE)
        yield target
        left = target.load_state()
        if left:
            restore(target, left)
        target.save_state(None)


@pytest.mark.parametrize("tuned", PROFILES, ids=lambda p: p.name)
def test_a_profile_is_applied_and_leaves_no_difference_or_says_what_nodes_lack(
    target: KubernetesTarget, tuned: Profile
) -> None:
    before = picture(target, separator="-")
    reason = unsupported(target, tuned)
    if reason is not None:
        assert tuned not in OF_A_NODE_ALONE, reason
        needed = [e for e in tuned.entries if not e.optional]
        assert any(f"{e.wanted}: " in reason for e in needed), reason
        with pytest.raises(RefusedError, match="nothing was changed"):
            apply_profile(target, STATE, tuned)
    else:
        state = apply_profile(target, STATE, tuned, before_install=True)
        state = apply_profile(target, state, tuned)
        assert read_back(target, state).wrong == ()
        assert {e.node for e in state.tuned} == {node.name for node in target.nodes()}
        assert restore(target, state)[1] == []
    assert picture(target, separator="-") == before


def test_a_node_that_is_silent_from_the_start_keeps_no_other_one_tuned(
    target: KubernetesTarget, lab: Lab
) -> None:
    setting = Setting("sysctl", "netns", "net.ipv4.tcp_sack")
    apply_profile(target, STATE, Catalog().profiles.load("sack-off"))
    run(lab, "kill-node", "n2")
    try:
        with opened(lab) as later:
            with pytest.raises(TransientError, match="the agent on node n2 does not answer"):
                settle(later)
            (first, _) = target.nodes()
            assert later.read_settings(first, [setting]) == {setting: "1"}
            left = later.load_state()
        assert left is not None
        assert {entry.node for entry in left.journal} == {"n2"}
    finally:
        run(lab, "up", "--only", "target")
    with opened(lab) as again:
        assert restore(again, left)[1] == []


def test_there_are_profiles_that_every_cluster_can_have() -> None:
    assert len(OF_A_NODE_ALONE) >= 3
