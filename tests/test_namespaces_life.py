"""The embedded target comes up from any state, leaves nothing behind and touches nothing else."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from steps.lib.catalog import Catalog
from steps.lib.errors import CnibenchError, OwnershipError
from steps.lib.targets.namespaces import cgroups, locks, netns
from tests.namespaces import ends_of, machine_network, pings, pod, prepared, send, target_named

pytestmark = pytest.mark.namespaces

ROOT = Path(__file__).parents[1]

LIFE = """
import os, signal, sys, time
from steps.lib.catalog import Catalog
from tests.namespaces import ends_of, pings, target_named

def life(target, hold_s):
    target.prepare()
    target.install(Catalog().plugins.load("ptp-vxlan"), "test")
    with ends_of(target, "external-service") as ends:
        server = target.start(ends.server, ["iperf3", "-s", "-p", "30521"], "server")
        target.wait_listening(ends.server, 30521, "tcp", 5)
        command = ["iperf3", "-c", ends.address, "-p", "30521", "-t", "60"]
        client = target.start(ends.client, command, "client")
        time.sleep(0.2)
        print("running", flush=True)
        time.sleep(hold_s)

target = target_named(sys.argv[1])
"""
"""A process that makes a target, a plugin, pods and traffic."""

HOLDER = LIFE + "life(target, 60)"

CRASHES = (
    LIFE
    + """
for tenth_s in range(11):
    child = os.fork()
    if child == 0:
        life(target, 1)
        os._exit(0)
    time.sleep(tenth_s / 10)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    target.prepare()
    assert target.installation() is None
    assert not any(target.inventory(node)["files"] for node in target.nodes())
    with ends_of(target, "host-to-host") as ends:
        assert pings(target, ends.client, ends.address)
target.discard()
"""
)
"""Kills such a process later and later in its life, and prepares the target each time."""

LOCKER = """
import sys, time
from pathlib import Path
from steps.lib.targets.namespaces import locks

locks.MACHINE_LOCK = Path(sys.argv[1])
with locks.machine("t-two"):
    print("locked", flush=True)
    time.sleep(60)
"""


def remains(name: str) -> list[str]:
    """Everything on this machine that a target of that name could have left."""
    mounted = cgroups.mount_point()
    assert mounted is not None
    places = [mounted / f"cnibench-{name}", Path("/run/cnibench") / name]
    found = [str(place) for place in places if place.exists()]
    found += netns.names(f"cnib-{name}.")
    found += re.findall(rf".*cnib-{name}\..*", Path("/proc/mounts").read_text())
    found += re.findall(rf".*cnibench-{name}.*", subprocess.getoutput("ps -eo pid,args"))
    return found


def holder(name: str) -> subprocess.Popen[str]:
    """A process that now holds pods and traffic."""
    command = [sys.executable, "-c", HOLDER, name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def is_alive(pid: int) -> bool:
    """Whether a process still runs; a zombie, which its parent has yet to bury, does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_killed_process_leaves_nothing_that_the_next_one_does_not_remove() -> None:
    name, before = "t-kill", machine_network()
    process = holder(name)
    tools = cgroups.Groups(f"cnibench-{name}").processes()
    kill(process)
    with prepared(name):
        assert len(tools) == 2
        assert not [pid for pid in tools if is_alive(pid)]
    assert remains(name) == []
    assert machine_network() == before


def test_a_target_comes_up_after_a_kill_at_any_instant() -> None:
    subprocess.run([sys.executable, "-c", CRASHES, "t-any"], cwd=ROOT, timeout=60, check=True)
    assert remains("t-any") == []


def test_pods_of_a_killed_process_are_detached_when_the_plugin_is_removed() -> None:
    name = "t-pods"
    process = holder(name)
    kill(process)
    target = target_named(name)
    try:
        assert any("dnat" in line for line in target.inventory(target.nodes()[1])["nftables"])
        target.remove()
        for node in target.nodes():
            found = target.inventory(node)
            assert (found["nftables"], found["files"], found["processes"]) == (frozenset(),) * 3
            assert {line.split()[0] for line in found["links"]} == {"lo", node.uplink}
    finally:
        target.discard()


def test_a_whole_life_leaves_the_machine_as_it_was() -> None:
    before = machine_network()
    with prepared("t-life") as target:
        assert machine_network() == before
        target.install(Catalog().plugins.load("bridge-vxlan"), "test")
        with ends_of(target, "external-service") as ends:
            assert send(target, ends, "-n", "1M") > 0
            assert machine_network() == before
        target.remove()
    assert machine_network() == before
    assert remains("t-life") == []


def test_preparing_again_builds_anew_and_keeps_the_state_of_the_block() -> None:
    with prepared("t-again") as target:
        target.install(Catalog().plugins.load("macvlan"), "test")
        with target.endpoint(pod("client", 0)) as client:
            assert client.start_ms is not None
        (state := target._layout.state_file).write_text("{}")
        target.prepare()
        assert target.installation() is None
        assert state.read_text() == "{}"
        target.discard()
        assert state.exists(), "only the campaign itself ends its block"


def test_targets_do_not_take_each_others_parts() -> None:
    with prepared("t-x") as target, prepared("t-x-y"):
        target.prepare()
        target.discard()
        assert remains("t-x") == []
        assert len(netns.names("cnib-t-x-y.")) == 4


def test_only_one_process_measures_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "MACHINE_LOCK", tmp_path / "machine.lock")
    target = target_named("t-one")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(locks.MACHINE_LOCK)], stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(OwnershipError, match=rf"pid {other.pid}, target t-two"), target.lock():
            pass
        other.kill()
    with target.lock():
        pass


def test_packets_of_the_underlay_mtu_pass_between_nodes_and_larger_ones_do_not() -> None:
    with prepared("t-mtu", underlay_mtu=9000) as target, ends_of(target, "host-to-host") as ends:
        assert pings(target, ends.client, ends.address, "-M", "do", "-s", "8972")
        assert not pings(target, ends.client, ends.address, "-M", "do", "-s", "8973")


def test_a_target_that_is_not_up_is_named() -> None:
    target = target_named("t-down")
    with pytest.raises(CnibenchError, match=r"network namespace cnib-t-down\.n1 does not exist"):
        target.inventory(target.nodes()[0])


def test_a_tool_can_be_interrupted_although_a_shell_runs_us_in_its_background() -> None:
    ours = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    ours += "from steps.lib.targets.namespaces.programs import run; "
    ours += "print(run(['sh', '-c', 'kill -INT $$; exit 0']).exit_code)"
    done = subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, check=True)
    assert int(done.stdout) == -signal.SIGINT
