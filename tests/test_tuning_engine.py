"""What the journal makes of nodes that do not answer, of kills, and of somebody else's changes."""

from pathlib import Path

import pytest

from steps.lib.errors import RefusedError, TransientError
from steps.lib.setting import Setting
from steps.lib.state import BlockState
from steps.lib.targets.protocol import Node, NodeFacts
from steps.lib.tuning import apply_profile, restore
from tests.trees import FILE, Trees
from tests.tuning import STATE, entry, profile

A, B = FILE.format("run"), FILE.format("sleep_millisecs")
BOTH = profile(entry("sysfs", "1", A), entry("sysfs", "2", B))


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    trees = Trees(tmp_path, "n1", "n2")
    trees.make(A, "0")
    trees.make(B, "0")
    return trees


def journal(state: BlockState | None) -> list[tuple[str, str]]:
    assert state is not None
    return [(e.node, e.name) for e in state.journal]


# ---------- nodes that do not answer
@pytest.mark.parametrize("call", ["facts", "read_settings", "write_setting"])
def test_a_node_that_does_not_answer_leaves_no_other_one_tuned(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    state = apply_profile(trees.target, STATE, BOTH)
    answers = getattr(trees, call)
    asked = 0

    def silent(node: Node, *rest: object) -> object:
        nonlocal asked
        if node.name == "n2":
            asked += 1
            raise TransientError("the agent on node n2 does not answer")
        return answers(node, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(trees, call, silent)
        with pytest.raises(TransientError, match=r"sleep_millisecs on n2 could not .*not answer"):
            restore(trees.target, state)
    assert (trees.texts(A), trees.texts(B)) == (["0", "1"], ["0", "2"])
    assert journal(trees.saved) == [("n2", A), ("n2", B)]
    assert asked <= 2, "once in each round: it takes its time not to answer"
    assert trees.saved is not None
    assert restore(trees.target, trees.saved) == (trees.saved, [])
    assert (trees.texts(A), trees.texts(B)) == (["0", "0"], ["0", "0"])


def test_a_node_that_refuses_is_named_and_the_others_are_put_back(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = apply_profile(trees.target, STATE, BOTH)

    def refusing(node: Node) -> NodeFacts:
        if node.name == "n1":
            raise RefusedError("no device of the node has its address")
        return Trees.facts(trees, node)

    monkeypatch.setattr(trees, "facts", refusing)
    left, problems = restore(trees.target, state)
    assert journal(left) == [("n1", A), ("n1", B)]
    assert len(problems) == 2 and all("no device of the node" in p for p in problems)
    assert trees.texts(A) == ["1", "0"]


# ---------- what is ours
class Killed(BaseException):
    """Ends what is being done as a kill would: nothing of ours catches it."""


def test_a_kill_before_the_reading_back_of_a_rounded_value_is_undone(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver rounds what it is given; nothing but the journal says that it was ours."""

    def rounding(node: Node, setting: Setting, value: str) -> None:
        trees.file(node.name, setting.name).write_text(str(round(int(value), -1)))
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(trees, "write_setting", rounding)
        with pytest.raises(Killed):
            apply_profile(trees.target, STATE, profile(entry("sysfs", "4096", A)))
    assert trees.texts(A) == ["4100", "0"]
    assert trees.saved is not None
    assert restore(trees.target, trees.saved)[1] == []
    assert trees.texts(A) == ["0", "0"]


def test_a_way_back_that_went_half_is_gone_on_with(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a queue discipline that comes back as another one, until its default is back, too."""
    state = apply_profile(trees.target, STATE, BOTH)

    def half(node: Node, setting: Setting, value: str) -> None:
        other_is_back = trees.file(node.name, A).read_text() == "0"
        text = value if setting.name == A or other_is_back else "halfway"
        trees.file(node.name, setting.name).write_text(text)

    monkeypatch.setattr(trees, "write_setting", half)
    state, problems = restore(trees.target, state)
    assert (problems, state.journal) == ([], ())
    assert (trees.texts(A), trees.texts(B)) == (["0", "0"], ["0", "0"])


# ---------- what is somebody else's
def test_what_somebody_changes_between_look_and_change_is_not_overwritten(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(node: Node, setting: Setting, value: str) -> None:
        Trees.write_setting(trees, node, setting, value)
        trees.file("n1", B).write_text("77")  # As kube-proxy raises the limit of connections.

    monkeypatch.setattr(trees, "write_setting", write)
    with pytest.raises(RefusedError, match=r"was '0' when it was looked up and is '77' now.*back"):
        apply_profile(trees.target, STATE, BOTH)
    assert (trees.texts(A), trees.texts(B)) == (["0", "0"], ["77", "0"])
    assert journal(trees.saved) == []
