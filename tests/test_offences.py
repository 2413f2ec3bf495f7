"""Each known way to a wrong number, committed for real: the cell is refused, by the gate's name."""

import json
import shlex
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steps.lib import measure as measuring
from steps.lib.models import CniChain, Entry, Plugin, Profile, Traffic
from steps.lib.setting import Setting
from steps.lib.targets.namespaces import cgroups, netns
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.protocol import EndpointRequest
from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.protocol import ToolRecord
from tests.jobs import RR, TCP, UDP, plugin
from tests.offences import Bench, bench

pytestmark = pytest.mark.namespaces

INVALID, NOISY = "invalid", "noisy"


@pytest.fixture
def block() -> Iterator[Bench]:
    with bench() as made:
        yield made


class OtherTool(Iperf3):
    """iperf3 as somebody else would call it, or read it."""

    def __init__(self, command: Any = None, parse: Any = None) -> None:
        self._command, self._parse = command, parse

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        command = super().client_command(traffic, address)
        return self._command(command) if self._command else command

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        record = super().parse(output, version_output)
        return self._parse(record) if self._parse else record


def use(monkeypatch: pytest.MonkeyPatch, tool: Iperf3) -> None:
    monkeypatch.setattr(measuring, "tool_for", lambda traffic: tool)


def test_nothing_is_refused_where_nobody_offends(block: Bench) -> None:
    for traffic in (UDP, RR):
        row = block.row(traffic)
        assert row["status"] == "ok", row["reason"]


# ---------- the way
def test_pods_on_one_node_where_two_were_asked(block: Bench) -> None:
    block.target.place = lambda request: replace(request, node_index=0)
    assert block.refusal(UDP) == (INVALID, "placement")


def test_an_mtu_of_9000_asked_and_1450_carried() -> None:
    honest = plugin("bridge-routes")
    assert isinstance(honest.install, CniChain)
    first, *rest = honest.install.plugins
    install = honest.install.model_copy(update={"plugins": (first | {"mtu": 1450}, *rest)})
    wrong: Plugin = honest.model_copy(update={"install": install})
    with bench(wrong, underlay_mtu=9000) as block:
        assert block.refusal(TCP) == (INVALID, "mtu")


def test_a_wire_that_swallows_what_is_longer_than_it_says(block: Bench) -> None:
    with netlink("cnib-offend.switch") as wires:
        wires.set_link("n2", mtu=1400)
    assert block.refusal(UDP | {"message_bytes": 1000}) == (INVALID, "path-mtu")


def test_a_tunnel_asked_and_traffic_routed_past_it(block: Bench) -> None:
    route = "ip route replace 10.244.{}.0/24 via 10.89.0.{} dev eth0".format
    for index, peer in ((0, 2), (1, 1)):
        block.target.on_node(index, *route(peer, peer).split())
    row = block.row(UDP)
    assert row["status"] == INVALID
    assert row["reason"].startswith("path-taken: ")
    assert "wrong: client-node:vxlan.cnib, server-node:vxlan.cnib" in row["reason"]


def test_a_foreign_flow_on_the_wire(block: Bench) -> None:
    target = block.target
    server = ["iperf3", "-s", "-1", "-p", "30555"]
    client = ["iperf3", "-c", "10.89.0.1", "-p", "30555", "-u", "-b", "200M", "-t", "10"]
    with ExitStack() as stack:
        host = stack.enter_context(target.endpoint(EndpointRequest("host", "host", 0)))
        stranger = stack.enter_context(target.endpoint(EndpointRequest("s", "external", 0)))
        receiving = target.start(host, server, "other")
        stack.callback(receiving.stop, 0.0)
        target.wait_listening(host, 30555, "tcp", 5)
        sending = target.start(stranger, client, "other")
        stack.callback(sending.stop, 0.0)
        row = block.row(UDP)
    assert (row["status"], row["reason"].split(":")[0]) == (NOISY, "foreign-wire")
    assert row["reason"].endswith("too many: client-node in")


# ---------- the tool and its document
def test_udp_at_the_tools_default_rate(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_rate(command: Sequence[str]) -> list[str]:
        place = command.index("--bitrate")
        return [*command[:place], *command[place + 2 :]]

    use(monkeypatch, OtherTool(without_rate))
    assert block.refusal(UDP) == (INVALID, "rate-stated")


def test_a_tool_of_another_version(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def older(command: Sequence[str]) -> list[str]:
        return ["sh", "-c", f"{shlex.join(command)} | sed --unbuffered s/3.18/3.12/g"]

    use(monkeypatch, OtherTool(older))
    assert block.refusal(UDP) == (INVALID, "tool-version")


def test_the_senders_number(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def senders(record: ToolRecord) -> ToolRecord:
        sent = record.metrics["sent_bits_per_s"]
        return replace(record, metrics={**record.metrics, "throughput_bits_per_s": sent})

    rules = "add table ip lossy; add chain ip lossy c { type filter hook forward priority 0; }; "
    rules += "add rule ip lossy c meta l4proto udp meta length > 1000 numgen random mod 4 == 0 drop"
    block.target.on_node(1, "nft", rules)
    row = block.row(UDP)
    assert row["status"] == "ok", row["reason"]
    assert row["lost_percent"] == pytest.approx(25, abs=5)
    use(monkeypatch, OtherTool(parse=senders))
    assert block.refusal(UDP) == (INVALID, "receiver-goodput")


def test_a_wrong_address_family(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Six(Iperf3):
        def server_command(self, traffic: Traffic) -> Sequence[str]:
            with netns.inside("cnib-offend.pod-server"):
                Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("0")
            return ["-6" if word == "-4" else word for word in super().server_command(traffic)]

        def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
            command = super().client_command(traffic, "::1")
            return ["-6" if word == "-4" else word for word in command]

    use(monkeypatch, Six())
    assert block.refusal(UDP, "in-pod") == (INVALID, "address-family")


def replay(stdout: str) -> list[str]:
    """A client that says at the right moments what another one said before."""
    start, *rest = stdout.splitlines()
    lines = [f"printf %s\\\\n {shlex.quote(line)}" for line in rest]
    first = f"printf %s\\\\n {shlex.quote(start)}"
    return ["sh", "-c", "; ".join((first, "sleep 1", *lines))]


def test_a_result_copied_from_another_cell(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    original = block.measure(UDP)
    assert original.row["status"] == "ok"
    stdout = json.loads(original.raw)["stdout"]
    use(monkeypatch, OtherTool(lambda command: replay(stdout)))
    row = block.row(UDP, "same-node")
    assert row["status"] == INVALID
    assert row["reason"] == (
        "document-own: the very same document was that of cell cross-node.udp-100m"
    )
    block.documents.clear()  # As in another pod; there its date gives it away.
    time.sleep(1)
    row = block.row(UDP, "same-node")
    assert row["reason"].startswith("document-own: dated -")


# ---------- the machine
@contextmanager
def cpu_limit() -> Iterator[Path]:
    """A control group whose processes get a tenth of a CPU."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            group = Path(place, "cnibench-offend-limit")
            break
    else:
        mounted = cgroups.mount_point()
        assert mounted is not None
        if "cpu" not in (mounted / "cgroup.subtree_control").read_text().split():
            pytest.skip("no control group of this machine limits CPU")
        group = mounted / "cnibench-offend-limit"
    group.mkdir()
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text("10000 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text("10000")
        yield group
    finally:
        cgroups.kill_all(lambda: set(map(int, (group / "cgroup.procs").read_text().split())))
        group.rmdir()


def test_a_generator_that_is_throttled(block: Bench) -> None:
    with cpu_limit() as group:

        def limit() -> None:
            for pid in block.target.tools():  # The server's: the client is yet to come.
                (group / "cgroup.procs").write_text(str(pid))

        block.target.before = limit
        assert block.refusal(TCP) == (INVALID, "generator-throttled")


def test_a_generator_that_does_not_reach_its_rate(block: Bench) -> None:
    row = block.row(UDP | {"rate_bits_per_s": 100_000_000_000})
    assert (row["status"], row["reason"].split(":")[0]) == (INVALID, "rate-offered")


def test_a_clock_that_is_set(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from the reader, whose clock call is replaced: the machine's clock is everybody's."""

    real = time.time

    def step() -> None:
        monkeypatch.setattr(time, "time", lambda: real() - 0.5)

    block.target.before = step
    assert block.refusal(UDP) == (INVALID, "clock-steady")


# ---------- tables, ports, queues
@contextmanager
def conntrack_max() -> Iterator[Path]:
    """The size of the table, one for all namespaces, put back afterwards."""
    file = Path("/proc/sys/net/netfilter/nf_conntrack_max")
    before = file.read_text()
    try:
        yield file
    finally:
        file.write_text(before)
        assert file.read_text() == before


def test_a_full_table_of_connections(block: Bench) -> None:
    rules = "add table ip tracks; add chain ip tracks c { type filter hook forward priority 0; }; "
    block.target.on_node(0, "nft", rules + "add rule ip tracks c ct state invalid drop")
    with conntrack_max() as file:
        block.target.before = lambda: file.write_text("2")
        assert block.refusal(UDP) == (INVALID, "conntrack-room")


def test_ephemeral_ports_that_are_used_up(block: Bench) -> None:
    with ExitStack() as stack:

        def use_up() -> None:
            with netns.inside("cnib-offend.pod-client"):
                Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40019")
                for port in range(40000, 40020):
                    stack.enter_context(socket.create_server(("", port)))

        block.target.before = use_up
        assert block.refusal(RR) == (INVALID, "ports-left")


def test_a_server_that_turns_connections_away(block: Bench) -> None:
    with ExitStack() as stack:

        def knock() -> None:
            with netns.inside("cnib-offend.pod-server"):
                listening = stack.enter_context(socket.create_server(("127.0.0.1", 1), backlog=0))
                for _ in range(4):
                    knocking = stack.enter_context(socket.socket())
                    knocking.setblocking(False)
                    knocking.connect_ex(listening.getsockname())

        block.target.before = knock
        assert block.refusal(RR) == (INVALID, "listen-queue")


# ---------- the state of the nodes
def test_tuning_that_did_not_take() -> None:
    entry = Entry(name="net.ipv4.tcp_sack", value="0", scope="netns")
    profile = Profile(name="no-sack", title="", description="", entries=(entry,))
    with bench(tuned=profile) as block:
        setting = Setting("sysctl", "netns", entry.name)
        block.target.write_setting(block.target.nodes()[0], setting, entry.value)
        row = block.row(UDP)
    assert row["status"] == INVALID
    assert row["reason"].startswith("tuning-in-force: net.ipv4.tcp_sack on n2 is '1', not '0'")


def test_a_plugin_swapped_during_the_block(block: Bench) -> None:
    def swap() -> None:
        block.target.on_node(1, "ip", "link", "set", "dev", "vxlan.cnib", "mtu", "1449")

    block.target.before = swap
    assert block.refusal(UDP) == (INVALID, "plugin-unchanged")


def test_offloads_changed_while_a_cell_runs(block: Bench) -> None:
    command = ("ethtool", "-K", "eth0", "tso", "off")
    block.target.before = lambda: block.target.on_node(0, *command)
    row = block.row(UDP)
    assert row["reason"] == (
        "offloads-unchanged: eth0 of client-node changed in it: -tx-tcp-segmentation"
    )


def test_offloads_changed_between_two_cells(block: Bench) -> None:
    block.target.on_node(1, "ethtool", "-K", "vxlan.cnib", "gro", "off")
    row = block.row(UDP)
    assert row["reason"] == (
        "offloads-unchanged: vxlan.cnib of server-node changed since the block began: -rx-gro"
    )
