"""What the embedded target reads, sets, starts and waits for."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steps.lib import tools
from steps.lib.catalog import Catalog
from steps.lib.environment import environment_fingerprint
from steps.lib.errors import CnibenchError, InputError, RefusedError, TransientError
from steps.lib.models import Needs, TargetSpec
from steps.lib.setting import Setting
from steps.lib.targets.cycles import Cycles
from steps.lib.targets.namespaces import cpu, netns
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.perf_event import PERF_TYPE_SOFTWARE, Event
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Node
from tests.namespaces import PORT, ends_of, pod, prepared, send

pytestmark = pytest.mark.namespaces

BUSY_S = 0.5
BUSY = f"timeout {BUSY_S} sh -c 'while :; do :; done'"
TICK_S = 0.05
"""Times of processes are whole ticks."""


@pytest.fixture(scope="module")
def target() -> Iterator[NamespacesTarget]:
    with prepared("t-read") as target:
        target.install(Catalog().plugins.load("ptp-routes"), "test")
        yield target


def test_a_busy_process_of_somebody_else_is_foreign(target: NamespacesTarget) -> None:
    before = target.cpu()
    # A child that outlives its parent is adopted by init, so that it is no descendant of ours.
    subprocess.run(["sh", "-c", f"{BUSY} >/dev/null 2>&1 &"], check=True)
    time.sleep(BUSY_S + 0.1)
    after = target.cpu()
    assert after.foreign_s - before.foreign_s > 0.4 * BUSY_S


def test_tools_and_children_are_not_foreign_and_tools_are_counted_apart(
    target: NamespacesTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everybody_s() -> float:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)  # Nobody is a descendant of that one.
            return cpu.foreign_s(set())

    with target.endpoint(EndpointRequest("host", "host", 0)) as host:
        all_before, before = everybody_s(), target.cpu()
        tool = target.start(host, ["sh", "-c", BUSY], "busy")
        assert tool.stop(5)[0] == 124  # timeout(1)'s own
        all_after, after = everybody_s(), target.cpu()
    used_s = after.groups["busy"] - before.groups.get("busy", 0)
    assert 0.2 * BUSY_S < used_s < 1.2 * BUSY_S
    foreign_s = after.foreign_s - before.foreign_s
    assert all_after - all_before - foreign_s > used_s - 2 * TICK_S


def test_a_reading_of_cpu_takes_some_milliseconds(target: NamespacesTarget) -> None:
    def cost_s() -> float:
        started = time.thread_time()
        target.cpu()
        return time.thread_time() - started

    assert min(cost_s() for _ in range(10)) < 0.01


def test_a_software_counter_counts_on_every_cpu() -> None:
    clock = Cycles(Event(type=PERF_TYPE_SOFTWARE, config=0))
    first, started = clock.read(), time.monotonic()
    time.sleep(0.1)
    second, wall_s = clock.read(), time.monotonic() - started
    clock.close()
    assert first is not None and second is not None
    assert second - first == pytest.approx((os.cpu_count() or 1) * wall_s * 1e9, rel=0.3)


def test_cycles_are_counted_or_declared_absent(target: NamespacesTarget) -> None:
    first, second = target.cpu().cycles, target.cpu().cycles
    assert first.keys() == second.keys()
    assert all(count > first[machine] for machine, count in second.items())


def test_an_event_that_the_machine_does_not_have_is_none() -> None:
    assert Cycles(Event(type=PERF_TYPE_SOFTWARE, config=9999)).read() is None


def test_counters_of_devices_and_stack_grow_with_traffic(target: NamespacesTarget) -> None:
    with ends_of(target, "cross-node") as ends:
        before = target.counters(ends.client), target.counters(ends.server)
        payload = send(target, ends, "-n", "8M")
        sent, received = target.counters(ends.client), target.counters(ends.server)
    grown = sent.devices["eth0"].tx_bytes - before[0].devices["eth0"].tx_bytes
    assert payload < grown < 1.2 * payload
    segments = sent.stack["Tcp.OutSegs"] - before[0].stack["Tcp.OutSegs"]
    assert segments > payload / 1460, "segments as on the wire, not as handed to the device"
    assert received.stack["Tcp.InSegs"] > before[1].stack["Tcp.InSegs"]
    assert {"Udp.InDatagrams", "Udp.RcvbufErrors", "TcpExt.TCPTimeouts"} <= set(sent.stack)
    assert "Softnet.dropped" in sent.stack


def test_what_a_device_drops_of_what_came_in_is_counted(target: NamespacesTarget) -> None:
    """Here it is of no protocol that anybody wants: an ethertype for experiments (IEEE 802)."""
    frame = bytes(12) + b"\x88\xb5" + bytes(46)
    with ends_of(target, "cross-node") as ends:
        before = target.counters(ends.client).devices["lo"].rx_dropped_packets
        with (
            netns.inside("cnib-t-read.pod-client"),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as way,
        ):
            way.bind(("lo", 0))
            for _ in range(5):
                way.send(frame)
        assert target.counters(ends.client).devices["lo"].rx_dropped_packets - before == 5


def sysctl(name: str, place: str = "netns") -> Setting:
    return Setting("sysctl", place, name)


def read_setting(target: NamespacesTarget, node: Node, name: str) -> str | None:
    return target.read_settings(node, [sysctl(name)])[sysctl(name)]


def test_settings_of_the_namespace_are_the_nodes_own(target: NamespacesTarget) -> None:
    one, two = target.nodes()
    name = "net.ipv4.tcp_sack"
    before = read_setting(target, two, name)
    target.write_setting(one, sysctl(name), "0")
    try:
        assert (read_setting(target, one, name), read_setting(target, two, name)) == ("0", before)
    finally:
        target.write_setting(one, sysctl(name), "1")


def test_settings_of_the_whole_kernel_are_read_and_set_where_they_can_be(
    target: NamespacesTarget,
) -> None:
    node = target.nodes()[0]
    # Invisible in a namespace, read-only there, and visible everywhere. Set to what they are.
    for name in ("net.core.netdev_max_backlog", "net.core.rmem_max", "fs.file-max"):
        value = read_setting(target, node, name)
        assert value is not None and value.isdigit()
        target.write_setting(node, sysctl(name), value)
        assert read_setting(target, node, name) == value


def test_settings_of_the_machines_own_devices_are_no_settings_of_a_node(
    target: NamespacesTarget,
) -> None:
    node = target.nodes()[0]
    name = "net.ipv4.conf.dummy9.rp_filter"
    assert read_setting(target, node, name) is None
    with pytest.raises(RefusedError, match="no such writable setting"):
        target.write_setting(node, sysctl(name), "0")
    assert read_setting(target, node, "net.ipv4.conf.eth0.rp_filter") is not None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("net.ipv4.tcp_congestion_control", "no-such", "No such file or directory"),
        ("net.ipv4.tcp_rmem", "many", "Invalid argument"),
        ("net.ipv4.no_such_setting", "1", "no such writable setting"),
    ],
)
def test_a_value_that_the_kernel_refuses_is_reported(
    target: NamespacesTarget, name: str, value: str, reason: str
) -> None:
    with pytest.raises(RefusedError, match=rf"{name} cannot be set.*{reason}"):
        target.write_setting(target.nodes()[0], sysctl(name), value)


def test_pods_inherit_from_their_node_what_the_kernel_hands_down(
    target: NamespacesTarget,
) -> None:
    values = {
        "net.ipv4.tcp_rmem": "4096 65536 8388608",
        "net.ipv4.tcp_congestion_control": "reno",
        "net.ipv4.conf.all.rp_filter": "2",
        "net.ipv4.tcp_sack": "0",
    }
    tuned = {sysctl(name): value for name, value in values.items()}
    whole = "net.core.rmem_max"
    tuned[sysctl(whole, "node")] = read_setting(target, target.nodes()[0], whole) or ""
    tuned[Setting("ethtool_feature", "eth0", "generic-receive-offload")] = "on"
    before = {n: read_setting(target, target.nodes()[0], n) or "" for n in values}
    for name, value in values.items():
        target.write_setting(target.nodes()[0], sysctl(name), value)
    try:
        with (
            target.endpoint(pod("tuned", 0)) as inside,
            target.endpoint(EndpointRequest("host", "host", 0)) as host,
            target.endpoint(EndpointRequest("ext", "external", 0)) as external,
        ):
            inherited = values.keys() - {"net.ipv4.tcp_sack"}
            expected = target.expected_in_endpoint(inside, tuned)
            assert expected.keys() == inherited | {whole}
            assert target.expected_in_endpoint(host, tuned).keys() == values.keys() | {whole}
            assert target.expected_in_endpoint(external, tuned).keys() == {whole}
            found = {name: target.read_endpoint_setting(inside, name) for name in expected}
            assert found == expected
            assert target.read_endpoint_setting(inside, "net.ipv4.tcp_sack") == "1"
    finally:
        for name, value in before.items():
            target.write_setting(target.nodes()[0], sysctl(name), value)


def test_a_kind_of_link_that_the_kernel_lacks_is_named(target: NamespacesTarget) -> None:
    plugin = Catalog().plugins.load("host-network")
    lacking = plugin.model_copy(update={"needs": Needs(link_kinds=("veth", "no-such-kind"))})
    assert target.unsupported(lacking) == (
        "this kernel cannot create a no-such-kind device: Operation not supported"
    )
    elsewhere = plugin.model_copy(update={"targets": ("kubernetes",)})
    assert target.unsupported(elsewhere) is not None
    assert target.missing_requirements() == []


@pytest.mark.parametrize(
    ("command", "timeout_s", "code", "stderr"),
    [
        ("echo out; echo err >&2; exit 3", 5.0, 3, b"err\n"),
        ("sleep 60", 0.1, -signal.SIGTERM, b""),
        ("trap '' TERM; while :; do sleep 0.1; done", 0.1, -signal.SIGKILL, b""),
        ("exec no-such-tool", 5.0, 127, b"sh: 1: exec: no-such-tool: not found\n"),
    ],
)
def test_a_tool_ends_with_its_status_or_is_ended(
    target: NamespacesTarget, command: str, timeout_s: float, code: int, stderr: bytes
) -> None:
    with target.endpoint(EndpointRequest("host", "host", 0)) as host:
        process = target.start(host, ["sh", "-c", command], "other")
        assert process.command == ("sh", "-c", command)
        assert process.stop(timeout_s) == (code, stderr)
        assert process.stop(timeout_s) == (code, stderr)
        assert process.stdout.read() == (b"out\n" if code == 3 else b"")
        time.sleep(0.1)
        assert not target._groups.processes()


def test_tools_see_the_tool_box_and_not_the_machine(target: NamespacesTarget) -> None:
    with target.endpoint(EndpointRequest("host", "host", 0)) as host:
        process = target.start(host, ["sh", "-c", "pwd; ls; env"], "other")
        lines = process.stdout.read().decode().split()
        assert process.stop(5)[0] == 0
    assert lines[0] == "/"
    assert "cnibench-toolbox.json" in lines
    assert sorted(x.split("=")[0] for x in lines if "=" in x) == ["LC_ALL", "PATH", "PWD"]


def test_waiting_for_a_port_does_not_disturb_the_server(target: NamespacesTarget) -> None:
    with target.endpoint(pod("server", 0)) as server:
        with pytest.raises(TransientError, match=rf"nothing listens on tcp port {PORT} in .*"):
            target.wait_listening(server, PORT, "tcp", 0.05)
        command = ["iperf3", "-s", "-1", "-p", str(PORT)]  # ends with its first connection
        process = target.start(server, command, "server")
        target.wait_listening(server, PORT, "tcp", 5)
        time.sleep(0.1)
        assert process.stop(0)[0] != 0, "it was still waiting for its one client"


def test_an_endpoint_of_another_target_is_refused(target: NamespacesTarget) -> None:
    with target.endpoint(EndpointRequest("host", "host", 0)) as host:
        foreign = Endpoint("host", "host", host.node, host.address, host.device, host.mtu_bytes)
        with pytest.raises(CnibenchError, match="endpoint host was not made by target t-read"):
            target.counters(foreign)


def test_devices_of_a_path_are_found_where_they_are(target: NamespacesTarget) -> None:
    with ends_of(target, "external-service") as ends:
        assert ends.device("server-node:@uplink") == ("server-node", "eth0")
        assert ends.device("server-node:@pair") == ("server-node", ends.server.pair)
        assert ends.device("client:lo") == ("client", "lo")
        assert ends.device("client-node:@pair") == ("client-node", None)


def test_without_a_tool_box_the_machines_own_programs_run() -> None:
    target = NamespacesTarget(TargetSpec(kind="namespaces", name="t-host"), None)
    target.prepare()
    try:
        with target.endpoint(EndpointRequest("host", "host", 0)) as host:
            process = target.start(host, ["cat", "/etc/hostname", "/proc/net/dev"], "other")
            found = process.stdout.read().decode()
            assert process.stop(5) == (0, b"")
        assert found.startswith(Path("/etc/hostname").read_text())
        assert "eth0" in found, "in the node's namespace all the same"
    finally:
        target.discard()


def test_another_kernel_is_another_environment_and_another_mode_of_kube_proxy_is_not(
    target: NamespacesTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, before = target.facts(target.nodes()[0]), environment_fingerprint(target)
    monkeypatch.setattr(target, "facts", lambda _: replace(facts, kube_proxy_mode="ipvs"))
    assert environment_fingerprint(target) == before
    monkeypatch.setattr(target, "facts", lambda _: replace(facts, kernel="6.1.0-other"))
    assert environment_fingerprint(target) != before


def test_tools_that_are_absent_are_named_with_what_to_do(
    target: NamespacesTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = target.facts(target.nodes()[0]).toolbox_digest
    assert digest == tools.toolbox_digest(tools.toolbox()) != tools.toolbox_digest(None)
    monkeypatch.setenv("CNIBENCH_TOOLS", str(tmp_path))
    for find in (tools.toolbox, tools.cni_plugins):
        with pytest.raises(InputError, match=rf"{tmp_path}/.* does not exist; run `make setup`"):
            find()
    absent = NamespacesTarget(TargetSpec(kind="namespaces", name="t-absent"), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = absent.missing_requirements()
    assert len(problems) == 8
    assert "nft is absent: apt-get install nftables" in problems
