"""The agent works in the networks of pods, starts their tools, and reads CPU and counters."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from steps.lib.targets import features
from steps.lib.targets.kubernetes.launcher import FIFO, LAUNCHER, MARK_VARIABLE
from tests.agent_nodes import AgentNode, agent_node, container

pytestmark = pytest.mark.namespaces

POD_ADDRESS = "192.0.2.99"
PORT = 30521
MARK = "mark-of-the-test"
START = f"export {MARK_VARIABLE}={MARK}; exec sh -c {shlex.quote(LAUNCHER)} {FIFO}"


@pytest.fixture
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


@pytest.fixture
def pod(node: AgentNode) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A container that runs the launcher, joined to the node by a pair of devices."""
    with container(node, START) as (identifier, process):
        until(lambda: node.call("exists", path=FIFO))
        node.run(
            f"ip link add pairx type veth peer eth0 netns {pid_of(node, identifier)} mtu 1450;"
            "ip link set pairx up; ip route add 192.0.2.99 dev pairx"
        )
        node.call(
            "run",
            container=identifier,
            command=["ip", "address", "add", "192.0.2.99/32", "dev", "eth0"],
        )
        node.call("run", container=identifier, command=["ip", "link", "set", "eth0", "up"])
        node.call(
            "run",
            container=identifier,
            command=["ip", "route", "add", "192.0.2.10", "dev", "eth0"],
        )
        yield identifier, process


def pid_of(node: AgentNode, identifier: str) -> int:
    """Process of a container, by its number on the node."""
    told = node.call("run", command=["sh", "-c", f"grep -l {identifier} /proc/*/cgroup || true"])
    pids = [int(path.split("/")[2]) for path in told["stdout"].split() if "self" not in path]
    return min(pids, default=0)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


Pod = tuple[str, "subprocess.Popen[bytes]"]


def test_the_pods_device_and_its_other_end_are_told(node: AgentNode, pod: Pod) -> None:
    found = node.call("pod_network", container=pod[0], address=POD_ADDRESS)
    assert found == {
        "device": "eth0",
        "mtu_bytes": 1450,
        "device_mtu_bytes": 1450,
        "pair": "pairx",
    }
    assert "no device" in node.error("pod_network", container=pod[0], address="198.51.100.1")


def test_counters_of_a_pod_are_its_own(node: AgentNode, pod: Pod) -> None:
    places = {"pod": pod[0], "node": None}
    before = node.call("reading", places=places)["counters"]
    ping = ["ping", "-c", "3", "-i", "0.1", "-W", "1", "192.0.2.10"]
    assert node.call("run", container=pod[0], command=ping)["exit_code"] == 0
    after = node.call("reading", places=places)["counters"]
    sent = after["pod"]["devices"]["eth0"][3] - before["pod"]["devices"]["eth0"][3]
    assert 3 <= sent <= 10
    assert "pairx" in after["node"]["devices"] and "pairx" not in after["pod"]["devices"]
    assert after["pod"]["stack"]["Icmp.InEchoReps"] - before["pod"]["stack"]["Icmp.InEchoReps"] == 3


def test_a_reading_tells_what_devices_offload_and_how_full_tables_are(
    node: AgentNode, pod: Pod
) -> None:
    node.run("ethtool -K pairx gso off")
    told = node.call("reading", places={"pod": pod[0], "node": None})
    offloads = told["counters"]["node"]["offloads"]
    assert offloads.keys() == told["counters"]["node"]["devices"].keys()
    assert "rx-checksum" in features.names(offloads["eth0"])
    assert "tx-generic-segmentation" not in features.names(offloads["pairx"])
    assert "Sockets.TCP.tw" in told["counters"]["pod"]["stack"]
    assert abs(told["cpu"]["clock_s"] - time.time()) < 5


def test_settings_of_a_pod_are_its_own(node: AgentNode, pod: Pod) -> None:
    node.call("write_setting", name="net.ipv4.ip_forward", value="1")
    assert node.call("read_setting", name="net.ipv4.ip_forward", container=pod[0]) == "0"


def test_a_command_is_launched_once_and_its_end_is_told(node: AgentNode, pod: Pod) -> None:
    identifier, process = pod
    line = "sh -c 'echo out; echo \"a  b\" >&2; printf last; exit 3'"
    assert node.call("launch", container=identifier, fifo=FIFO, line=line) is True
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    assert lines == [b"out\n", f"last{MARK} exit 3\n".encode(), b"a  b\n", f"{MARK} end\n".encode()]
    # It stays, so that its network and its CPU time can be read.
    assert node.call("is_running", container=identifier) is True
    assert node.call("launch", container=identifier, fifo=FIFO, line=line) is False


def test_a_program_that_is_not_there_ends_with_the_shells_status(node: AgentNode, pod: Pod) -> None:
    node.call("launch", container=pod[0], fifo=FIFO, line="no-such-program")
    assert pod[1].stdout is not None
    assert pod[1].stdout.readline() == f"{MARK} exit 127\n".encode()
    assert b"not found" in pod[1].stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_reaches_the_tool_and_not_its_launcher(
    node: AgentNode, pod: Pod, number: int
) -> None:
    identifier, process = pod
    assert node.call("signal", container=identifier, number=number) is False
    node.call("launch", container=identifier, fifo=FIFO, line="sleep 60")
    until(lambda: node.call("signal", container=identifier, number=number))
    assert process.stdout is not None
    assert process.stdout.readline() == f"{MARK} exit {128 + number}\n".encode()
    assert process.stdout.readline() == f"{MARK} end\n".encode()


def test_ports_are_tried_without_anything_running_in_the_pod(node: AgentNode, pod: Pod) -> None:
    wanted = {"port": PORT, "protocol": "tcp", "container": pod[0]}
    refused = node.call("connect", address=POD_ADDRESS, port=PORT)
    assert refused == "Connection refused"
    some = {"addresses": [POD_ADDRESS, "192.0.2.77"], "port": PORT, "timeout_s": 0.2}
    assert node.call("refusing", **some) == [POD_ADDRESS]
    number = node.call("open_ports", ports=[PORT], container=pod[0])
    assert node.call("listening", **wanted) is True
    assert node.call("listening", port=PORT, protocol="tcp") is False
    assert node.call("connect", address=POD_ADDRESS, port=PORT) is None
    assert node.call("refusing", **some) == []
    assert node.call("connect", address="192.0.2.77", port=PORT, timeout_s=0.2) is not None
    assert "in use" in node.error("open_ports", ports=[PORT], container=pod[0])
    node.call("close_ports", number=number)
    node.call("close_ports", number=number)
    assert node.call("listening", **wanted) is False


def test_a_container_runs_its_own_programs(node: AgentNode, pod: Pod) -> None:
    told = node.call("run_in_container", container=pod[0], command=["cat", "/sys/fs/bpf/none"])
    assert told["exit_code"] == 1
    told = node.call("run_in_container", container=pod[0], command=["sh", "-c", "ip -o -4 address"])
    assert POD_ADDRESS in told["stdout"]


def test_a_container_that_is_not_there_is_refused(node: AgentNode) -> None:
    assert "no process of this node" in node.error("counters", container="0" * 64)
    for wrong in ("", "ab", "../../../etc/passwd"):
        assert "no container's identifier" in node.error("counters", container=wrong)


POD_1, POD_2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ONE = "c" * 64
HIERARCHIES: dict[str, dict[str, str | None]] = {
    "v1": {
        f"cpuacct/lab/kubepods/besteffort/pod{POD_1}": "3000000000",
        f"cpuacct/lab/kubepods/besteffort/pod{POD_1}/{ONE}": "2000000000",
        f"cpuacct/kubepods/pod{POD_2}": "500000000",
        f"memory/kubepods/pod{POD_2}": None,
    },
    "v2": {
        f"kubepods/besteffort/pod{POD_1}": "usage_usec 3000000\nuser_usec 1",
        f"kubepods/besteffort/pod{POD_1}/{ONE}": "usage_usec 2000000\nnr_throttled 4",
        f"kubepods/pod{POD_2}": "usage_usec 500000",
    },
    "v2-systemd": {
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
        f"{POD_1.replace('-', '_')}.slice": "usage_usec 3000000",
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
        f"{POD_1.replace('-', '_')}.slice/cri-containerd-{ONE}.scope": (
            "usage_usec 2000000\nnr_throttled 4"
        ),
        f"kubepods.slice/kubepods-pod{POD_2.replace('-', '_')}.slice": "usage_usec 500000",
        "system.slice/kubelet.service": "usage_usec 900000",
    },
}


@pytest.mark.parametrize("layout", HIERARCHIES)
def test_cpu_of_pods_is_read_from_every_layout_of_control_groups(
    node: AgentNode, layout: str
) -> None:
    name, none = ("cpuacct.usage", "0") if layout == "v1" else ("cpu.stat", "usage_usec 0")
    for path, text in HIERARCHIES[layout].items():
        place = f"/sys/fs/cgroup/{path}"
        node.run(f"mkdir -p {place}" + (f"; echo '{text}' >{place}/{name}" if text else ""))
    node.run(
        "find /sys/fs/cgroup -name 'kubepods*' -not -name '*pod?*-*' -not -path '*/memory/*' "
        f"-exec sh -c 'echo {none} >$0/{name}' {{}} ';'"
    )
    if layout == "v1":  # Which limits CPU in another hierarchy than it counts it in.
        group = f"/sys/fs/cgroup/cpu/lab/kubepods/besteffort/pod{POD_1}/{ONE}"
        node.run(f"mkdir -p {group}; echo 'nr_throttled 4' >{group}/cpu.stat")
    found = node.call("cpu", containers={ONE: POD_1, "d" * 64: POD_2})
    pods = {pod.replace("-", ""): used for pod, used in ((POD_1, 3.0), (POD_2, 0.5))}
    assert (found["pods"], found["containers"]) == (pods, {ONE: 2.0})
    assert list(found["throttled"].values()) == [4]
    assert found["at_s"] == pytest.approx(time.monotonic(), abs=2)
    assert found["cpus"] >= 1 and found["idle_s"] > 0


def test_calls_of_network_plugins_are_waited_for(node: AgentNode) -> None:
    assert node.call("await_cni_calls", timeout_s=5) == []
    late = "sleep 1; touch /run/left-behind"
    command = [*node.entering, "env", "CNI_COMMAND=DEL", "sh", "-c", late]
    with subprocess.Popen(command) as call:
        until(lambda: node.answer("await_cni_calls", timeout_s=0).get("error"))
        assert node.call("await_cni_calls", timeout_s=20)
        assert node.call("exists", path="/run/left-behind")
        assert call.wait(timeout=5) == 0


def test_a_call_of_a_network_plugin_that_does_not_end_is_named(node: AgentNode) -> None:
    with subprocess.Popen([*node.entering, "env", "CNI_COMMAND=DEL", "sleep", "600"]) as call:
        try:
            until(lambda: node.answer("await_cni_calls", timeout_s=0).get("error"))
            error = node.error("await_cni_calls", timeout_s=0.3)
            assert error == "RefusedError: still called after 0.3 s: sleep"
        finally:
            call.kill()


def test_a_daemon_that_a_call_left_behind_is_no_call(node: AgentNode) -> None:
    daemon = "(sh -c 'sleep 600 & wait' & echo $! >/run/daemon.pid)"
    node.run(f"CNI_COMMAND=ADD; export CNI_COMMAND; {daemon} >/dev/null 2>&1")
    daemon_pid = node.run("cat /run/daemon.pid").strip()
    until(lambda: node.run(f"ps -o comm= --ppid {daemon_pid} || true").strip() == "sleep")
    assert node.run(f"ps -o ppid= --pid {daemon_pid}").strip() == "1"
    assert node.call("await_cni_calls", timeout_s=0) == []


def test_what_a_call_of_a_network_plugin_has_called_counts(node: AgentNode) -> None:
    """The plugin that a runtime calls may call another one, and that is what takes its time."""
    runtime = "CNI_COMMAND=DEL sh -c 'sleep 600; exit 1'; exit 1"
    with subprocess.Popen([*node.entering, "sh", "-c", runtime], start_new_session=True) as call:
        try:
            until(lambda: "sleep" in str(node.answer("await_cni_calls", timeout_s=0)))
            error = node.error("await_cni_calls", timeout_s=0)
            assert error == "RefusedError: still called after 0 s: sh, sleep"
        finally:
            os.killpg(call.pid, signal.SIGKILL)
