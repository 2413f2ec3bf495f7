"""A lab comes up, goes down from any state, and leaves the machine as it was."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lab import node, status
from lab.groups import COMMAND, Groups
from lab.processes import launch
from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns
from tests.lab.labs import LIFE, ROOT, TARGET, call, command, pids, processes, run, wait_until
from tests.lab.machine import changes, inventory, network

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Each test begins and ends without that lab, and with the machine as it was."""
    run(LIFE, "down")
    # Whoever names a namespace first makes the folder of names, which stays.
    netns.create("cnib-life-first")
    netns.delete("cnib-life-first")
    before = inventory(LIFE)
    yield
    run(LIFE, "down")
    assert changes(before, inventory(LIFE)) == []


def kill_all() -> None:
    """What ``kill -9`` of every single process of the lab does."""
    while found := processes(LIFE):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def test_a_lab_changes_nothing_of_the_machine_while_it_is_up() -> None:
    before = network()
    printed = run(LIFE, "up", "--only", "target")
    assert printed == f"export KUBECONFIG={LIFE.kubeconfig}\n"
    assert changes(before, network()) == []
    assert len(inventory(LIFE)["processes"]) > 10, "the inventory finds the lab's processes"


def test_nothing_stays_of_a_lab_whose_processes_were_all_killed() -> None:
    run(LIFE, "up", "--only", "target")
    kill_all()
    assert set(pids(LIFE).values()) == {None}
    done = call(LIFE, "status")
    assert done.returncode == status.SOMETHING_DOWN
    assert done.stdout.count("down") == 7


def test_a_killed_lab_comes_up_again() -> None:
    run(LIFE, "up", "--only", "target")
    kill_all()
    run(LIFE, "up", "--only", "target")
    assert call(LIFE, "status").returncode == status.UP


def test_a_lab_whose_machine_was_started_anew_comes_up_as_a_new_one() -> None:
    run(LIFE, "up", "--only", "target")
    kill_all()
    for name in LIFE.namespaces.values():
        netns.delete(name)
    shutil.rmtree(LIFE.run)
    run(LIFE, "up", "--only", "target")
    assert call(LIFE, "status").returncode == status.UP


@pytest.mark.parametrize("seconds", [1.2, 1.6, 2.0, 3.0, 4.5, 6.0])
def test_nothing_stays_of_a_lab_that_was_coming_up(seconds: float) -> None:
    with subprocess.Popen(command(LIFE, "up"), cwd=ROOT, stderr=subprocess.DEVNULL) as coming:
        time.sleep(seconds)
        coming.kill()


def test_down_ends_a_lab_that_is_coming_up() -> None:
    with subprocess.Popen(command(LIFE, "up"), cwd=ROOT, stderr=subprocess.PIPE) as coming:
        assert coming.stderr is not None
        assert any(b"started" in line for line in coming.stderr)
        run(LIFE, "down")
        assert coming.wait(10) == -signal.SIGKILL


def test_down_ends_those_too_who_wait_to_bring_the_lab_up() -> None:
    ups = [
        subprocess.Popen(command(LIFE, "up"), cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(2)
    ]
    wait_until(lambda: {up.pid for up in ups} <= Groups(LIFE.group).processes(COMMAND))
    run(LIFE, "down")
    assert [up.wait(10) for up in ups] == [-signal.SIGKILL, -signal.SIGKILL]
    assert call(LIFE, "status").returncode == status.NOTHING_HERE


def test_an_etcd_that_does_not_start_is_named() -> None:
    run(LIFE, "up", "--only", "target")
    kill_all()
    data = LIFE.disk / "target-etcd" / "member"
    shutil.rmtree(data)
    data.touch()
    done = call(LIFE, "up", "--only", "target")
    assert done.returncode == CnibenchError.exit_code
    assert "target-etcd has ended: " in done.stderr


def test_a_node_that_still_has_the_machines_root_does_not_run_yet() -> None:
    launch(LIFE, "n1", ["unshare", "--pid", "--fork", "--kill-child", "sleep", "60"], None)
    wait_until(lambda: len(processes(LIFE)) == 2)
    assert node.init_pid(LIFE, TARGET.nodes[0]) is None


def test_down_without_a_lab_is_fine() -> None:
    run(LIFE, "down")
    done = call(LIFE, "status")
    assert done.returncode == status.NOTHING_HERE
    assert "nothing of the lab 'life' is here" in done.stdout
