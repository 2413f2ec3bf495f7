"""What the journal makes of nodes that do not answer, of kills, and of somebody else's changes."""

import shutil
from pathlib import Path

import pytest

from steps.lib.blocks import keys_of, write_nodes
from steps.lib.errors import OwnershipError, RefusedError, TransientError
from steps.lib.restoring import restore
from steps.lib.setting import Setting
from steps.lib.settle import settle
from steps.lib.state import BlockState, JournalEntry
from steps.lib.store import open_store, read_rows
from steps.lib.targets.protocol import Node, NodeFacts
from steps.lib.tuning import apply_profile, unsupported
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
@pytest.mark.parametrize("call", ["node", "facts", "read_settings", "write_setting"])
def test_a_node_that_does_not_answer_leaves_no_other_one_tuned(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    state = apply_profile(trees.target, STATE, BOTH)
    answers = getattr(trees, call)
    asked = 0

    def silent(node: Node | str, *rest: object) -> object:
        nonlocal asked
        if getattr(node, "name", node) == "n2":
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


def test_settling_puts_nodes_back_before_it_needs_the_one_that_is_silent(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apply_profile(trees.target, STATE.model_copy(update={"store": str(tmp_path / "store")}), BOTH)

    def silent(node: Node) -> NodeFacts:
        if node.name == "n2":
            raise TransientError("the agent on node n2 does not answer")
        return Trees.facts(trees, node)

    with monkeypatch.context() as patched:
        patched.setattr(trees, "facts", silent)
        with pytest.raises(TransientError, match=r"on n2 could not .*not answer"):
            settle(trees.target)
    assert (trees.texts(A), trees.texts(B)) == (["0", "1"], ["0", "2"])
    settle(trees.target)
    assert (trees.texts(A), trees.texts(B), trees.saved) == (["0", "0"], ["0", "0"], None)


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


def test_nothing_more_is_put_back_on_a_target_that_changed_hands(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = apply_profile(trees.target, STATE, BOTH)

    def lost(node: Node, setting: Setting, value: str) -> None:
        raise OwnershipError("the lease is another's")

    monkeypatch.setattr(trees, "write_setting", lost)
    with pytest.raises(OwnershipError):
        restore(trees.target, state)
    assert (trees.texts(A), trees.texts(B)) == (["1", "1"], ["2", "2"])


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


def test_a_kill_while_what_was_set_twice_is_put_back_is_undone(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that is tried again finds what it had set, and records that as what was before."""
    again = profile(entry("sysfs", "4", A))
    state = apply_profile(trees.target, apply_profile(trees.target, STATE, BOTH), BOTH)
    apply_profile(trees.target, state, again)

    def killed(node: Node, setting: Setting, value: str) -> None:
        Trees.write_setting(trees, node, setting, value)
        raise Killed

    for _ in range(4):
        with monkeypatch.context() as patched:
            patched.setattr(trees, "write_setting", killed)
            with pytest.raises(Killed):
                restore(trees.target, trees.saved or STATE)
    assert restore(trees.target, trees.saved or STATE)[1] == []
    assert (trees.texts(A), trees.texts(B)) == (["0", "0"], ["0", "0"])


def test_what_somebody_set_between_two_tries_is_left_alone(trees: Trees) -> None:
    state = apply_profile(trees.target, STATE, BOTH)
    trees.file("n1", A).write_text("7")
    state = apply_profile(trees.target, state, BOTH)
    assert trees.texts(A) == ["1", "1"]
    left, problems = restore(trees.target, state)
    assert trees.texts(A) == ["7", "0"]
    assert journal(left) == [("n1", A)]
    assert len(problems) == 1 and "somebody changed it" in problems[0]


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


# ---------- what the journal costs
READ_AHEAD = "block/{}/queue/read_ahead_kb"
DISKS = profile(entry("sysfs", "1", A), entry("sysfs", "4096", READ_AHEAD.format("*")))


@pytest.fixture
def disks(trees: Trees) -> Trees:
    for disk in ("sda", "sdb", "loop0"):
        trees.make(READ_AHEAD.format(disk), "128")
    for disk in ("sda", "sdb"):
        trees.make(f"block/{disk}/device/model", "disk")
    return trees


def test_an_entry_of_many_files_is_recorded_whole_before_its_first_change(
    disks: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine of 128 processors has 128 files of one entry: each write is synced to a disk."""
    happened: list[int | str] = []

    def save(state: BlockState) -> None:
        happened.append(len(state.journal))
        Trees.save_state(disks, state)

    def write(node: Node, setting: Setting, value: str) -> None:
        happened.append(f"{node.name} {setting.name.split('/')[1]}")
        Trees.write_setting(disks, node, setting, value)

    monkeypatch.setattr(disks, "save_state", save)
    monkeypatch.setattr(disks, "write_setting", write)
    read_ahead = profile(DISKS.entries[1])
    state = apply_profile(disks.target, STATE, read_ahead)
    assert happened == [4, "n1 sda", "n2 sda", "n1 sdb", "n2 sdb", 4, 4]
    assert all(e.after == "4096" for e in state.journal)
    happened.clear()
    restore(disks.target, state)
    assert happened == ["n2 sdb", "n1 sdb", "n2 sda", "n1 sda", 0]


def test_a_kill_between_the_files_of_an_entry_is_undone(
    disks: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(node: Node, setting: Setting, value: str) -> None:
        if (node.name, setting.name) == ("n1", READ_AHEAD.format("sdb")):
            raise Killed
        Trees.write_setting(disks, node, setting, value)

    with monkeypatch.context() as patched:
        patched.setattr(disks, "write_setting", killed)
        with pytest.raises(Killed):
            apply_profile(disks.target, STATE, DISKS)
    assert disks.texts(READ_AHEAD.format("sda")) == ["4096", "4096"]
    assert disks.saved is not None and len(disks.saved.journal) == 6
    assert restore(disks.target, disks.saved)[1] == []
    for name in (A, READ_AHEAD.format("sda"), READ_AHEAD.format("sdb")):
        assert disks.texts(name) == ["0" if name == A else "128"] * 2


def test_files_of_an_entry_that_were_not_come_to_are_left_to_whoever_changed_them(
    disks: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(node: Node, setting: Setting, value: str) -> None:
        Trees.write_setting(disks, node, setting, value)
        if (node.name, setting.name) == ("n2", READ_AHEAD.format("sda")):
            disks.file("n2", READ_AHEAD.format("sdb")).write_text("77")
            raise RefusedError("the driver takes no more")

    with monkeypatch.context() as patched:
        patched.setattr(disks, "write_setting", write)
        with pytest.raises(RefusedError, match="takes no more"):
            apply_profile(disks.target, STATE, DISKS)
    assert disks.texts(READ_AHEAD.format("sdb")) == ["128", "77"]


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


# ---------- what is gone
def test_a_disk_that_is_gone_is_forgotten_and_the_rest_put_back(
    disks: Trees, caplog: pytest.LogCaptureFixture
) -> None:
    """A volume was detached meanwhile: its read-ahead cannot keep the target for ever."""
    state = apply_profile(disks.target, STATE, DISKS)
    assert disks.texts(READ_AHEAD.format("loop0")) == ["128", "128"], "no disk"
    shutil.rmtree(disks.file("n2", "block/sdb"))
    state, problems = restore(disks.target, state)
    assert (problems, state.journal, disks.saved) == ([], (), state)
    assert disks.texts(A) == ["0", "0"]
    assert disks.texts(READ_AHEAD.format("sda")) == ["128", "128"]
    (warning,) = caplog.messages
    assert "block/sdb/queue/read_ahead_kb on n2 is no more there; it was '128'" in warning


def test_what_is_there_and_cannot_be_read_is_kept_in_the_journal(disks: Trees) -> None:
    state = apply_profile(disks.target, STATE, DISKS)
    file = disks.file("n2", READ_AHEAD.format("sdb"))
    file.unlink()
    file.mkdir()  # Reading fails: it is a directory.
    state, problems = restore(disks.target, state)
    assert [(e.node, e.name) for e in state.journal] == [("n2", READ_AHEAD.format("sdb"))]
    assert len(problems) == 1 and "unreadable: Is a directory" in problems[0]


def test_a_queue_and_an_interrupt_that_are_gone_read_as_nothing(trees: Trees) -> None:
    gone = [Setting("rps", "eth9", "rx-7"), Setting("irq_affinity", "eth9", "99999")]
    assert set(trees.read_settings(trees.nodes()[0], gone).values()) == {None}


# ---------- what is told beforehand
CHOICES = "kernel/mm/transparent_hugepage/enabled"


def test_a_value_that_is_not_offered_makes_a_profile_unsupported_also_if_optional(
    trees: Trees,
) -> None:
    """And refuses no campaign: its other profiles are measured."""
    trees.make(CHOICES, "always [madvise] never")
    maybe = entry("sysfs", "maybe", CHOICES, optional=True)
    reason = unsupported(trees.target, profile(*BOTH.entries, maybe))
    assert reason is not None
    assert reason.startswith("profile tuned: sysfs 'maybe' is not offered by /sys/kernel/mm/trans")


def test_what_is_optional_and_lacking_makes_no_profile_unsupported(trees: Trees) -> None:
    absent = entry("sysfs", "1", "kernel/mm/no_such")
    optional = absent.model_copy(update={"optional": True})
    assert unsupported(trees.target, profile(*BOTH.entries, optional)) is None
    reason = unsupported(trees.target, profile(*BOTH.entries, absent))
    assert reason == "profile tuned: sysfs kernel/mm/no_such: there is no such file below /sys"


# ---------- what is recorded
def test_a_node_is_recorded_with_the_mtu_that_was_measured_after_it_is_put_back(
    trees: Trees, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store"))
    mtu = {"kind": "mtu", "place": "eth0", "name": "", "before": "1500", "intended": "9000"}
    known = {"node": "n1", "boot_id": "boot of n1", "asked": "mtu", "after": "9000"}
    tuned = STATE.model_copy(update={"tuned": (JournalEntry(**mtu, **known),)})
    for block, of, measured in (("tuned", tuned, 9000), ("untuned", STATE, 1500)):
        state = of.model_copy(update={"block": block})
        write_nodes(store, state, trees.target)
        rows = read_rows(store, "nodes", **keys_of(state))
        assert [row["underlay_mtu_bytes"] for row in rows] == [measured, measured]
