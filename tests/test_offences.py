"""Each known way to a wrong number, committed for real: the cell is refused, by the gate's name."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from steps.lib.models import CniChain, Entry, Plugin, Profile
from steps.lib.setting import Setting
from steps.lib.targets.namespaces import cgroups, netns
from steps.lib.targets.namespaces.layout import Layout
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.protocol import EndpointRequest
from steps.lib.tuning import apply_profile
from tests.jobs import RR, TCP, UDP, plugin
from tests.offences import NAME, Bench, bench

pytestmark = pytest.mark.namespaces

INVALID, NOISY = "invalid", "noisy"

TRACKING = "add table ip tracks; add chain ip tracks c { type filter hook output priority 0; }; "
TRACKING += "add rule ip tracks c ct state invalid drop"


@pytest.fixture
def block() -> Iterator[Bench]:
    with bench() as made:
        yield made


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


@pytest.mark.parametrize(
    ("name", "direction"), [("bridge-vxlan", "forward"), ("bridge-routes", "reverse")]
)
def test_encryption_asked_and_off(name: str, direction: str) -> None:
    honest = plugin(name)
    proof = honest.paths["cross-node"].model_copy(update={"encrypted": True})
    claiming = honest.model_copy(update={"paths": honest.paths | {"cross-node": proof}})
    with bench(claiming) as block:
        row = block.row(UDP | {"direction": direction})
    assert (row["status"], row["reason"].split(":")[0]) == (INVALID, "encryption")
    assert not row["reason"].endswith(" 0 of them readable")


def test_segments_cut_for_a_smaller_way(block: Bench) -> None:
    def shorten() -> None:
        with netns.inside("cnib-offend.pod-server"):
            (default,) = subprocess.check_output(
                ["ip", "route", "show", "default"], text=True
            ).splitlines()
            subprocess.run(
                ["ip", "route", "replace", *default.split(), "advmss", "1000"], check=True
            )

    block.target.before = shorten
    assert block.refusal(TCP) == (INVALID, "mss")


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


def test_a_load_that_ends_before_the_cell(block: Bench) -> None:
    """Killed in the middle of the window: what follows is the latency of an idle path."""
    load = {"streams": 2, "message_bytes": 131072, "congestion_control": "node"}

    def kill(*found: int) -> None:
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def end_soon() -> None:
        found = subprocess.check_output(["pgrep", "--full", "iperf3 --client .* 30600"], text=True)
        ours = set(map(int, found.split())) & block.target.tools()
        assert ours
        timer = threading.Timer(1.5, kill, ours)
        timer.daemon = True
        timer.start()

    row = block.row(RR | {"load": load})
    assert (row["status"], row["load_streams"]) == ("ok", 2), row["reason"]
    assert row["load_bits_per_s"] > 0
    assert (row["packets"], row["cycles_per_packet"]) == (None, None), "the load's are among them"
    block.target.before = end_soon
    row = block.row(RR | {"load": load})
    assert (row["status"], row["reason"].split(":")[0]) == (INVALID, "companions"), row["reason"]


def test_pairs_send_at_once_and_each_is_counted_by_its_receiver(block: Bench) -> None:
    row = block.row(UDP | {"pairs": 3, "rate_bits_per_s": 20_000_000})
    assert row["status"] == "ok", row["reason"]
    assert [round(rate / 1e6) for rate in row["pair_bits_per_s"]] == [20, 20, 20]
    assert row["throughput_bits_per_s"] == sum(row["pair_bits_per_s"])
    assert (row["lost_datagrams"], row["cycles_per_packet"]) == (None, None), "of one pair only"


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
    block.target.on_node(0, "nft", TRACKING.replace("output", "forward"))
    with conntrack_max() as file:
        block.target.before = lambda: file.write_text("2")
        assert block.refusal(UDP) == (INVALID, "conntrack-room")


def test_a_reference_in_another_state_of_connection_tracking(block: Bench) -> None:
    first = block.reference(UDP)
    assert (first["status"], first["connections_tracked"]) == ("ok", False)
    block.state = block.state.model_copy(update={"baseline_tracked": False})
    assert block.reference(UDP)["status"] == "ok"
    block.target.on_node(0, "nft", TRACKING)
    row = block.reference(UDP)
    assert (row["status"], row["connections_tracked"]) == (INVALID, True)
    assert row["reason"] == "conntrack-as-begun: tracked: False when the block began, True now"


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


def test_connections_that_are_refused_for_earlier_ones(block: Bench) -> None:
    ports = range(42000, 42020)

    def connect_and_let_the_server_close(server: socket.socket, port: int) -> None:
        with socket.socket() as client:
            client.bind(("127.0.0.1", port))
            client.connect(server.getsockname())
            server.accept()[0].close()
            assert client.recv(1) == b""

    def come_again() -> None:
        timestamps = Path("/proc/sys/net/ipv4/tcp_timestamps")
        with netns.inside("cnib-offend.pod-server"), socket.create_server(("127.0.0.1", 1)) as own:
            for port in ports:
                connect_and_let_the_server_close(own, port)
            # No more from a beginning by chance: half of them are older than before.
            timestamps.write_text("2")
            for port in ports:
                with socket.socket() as again:
                    again.bind(("127.0.0.1", port))
                    again.settimeout(0.1)
                    again.connect_ex(own.getsockname())
            timestamps.write_text("1")

    block.target.before = come_again
    assert block.refusal(RR) == (INVALID, "connections-fresh")


# ---------- the state of the nodes
def test_tuning_that_did_not_take() -> None:
    entry = Entry(name="net.ipv4.tcp_sack", value="0", scope="netns")
    profile = Profile(name="no-sack", title="", description="", entries=(entry,))
    with bench(tuned=profile) as block:
        assert block.refusal(UDP) == (INVALID, "tuning-in-force")
        block.state = apply_profile(block.target, block.state, profile)
        setting = Setting("sysctl", "netns", entry.name)
        block.target.write_setting(block.target.nodes()[1], setting, "1")
        row = block.row(UDP)
    assert row["status"] == INVALID
    assert row["reason"] == "tuning-in-force: n2/net.ipv4.tcp_sack is '1', not '0'"


def another_plugin(block: Bench) -> None:
    """A node's network configuration is another plugin's: the next pod is that one's."""
    layout = Layout(NAME, block.underlay_mtu)
    file = layout.conflist(block.target.nodes()[1])
    configuration = json.loads(file.read_text())
    other = plugin("ptp-vxlan").install
    assert isinstance(other, CniChain)
    configuration["plugins"][0]["type"] = other.plugins[0]["type"]
    assert configuration["plugins"][0]["type"] != "bridge"
    file.write_text(json.dumps(configuration))


def another_device(block: Bench) -> None:
    block.target.on_node(1, "ip", "link", "set", "dev", "vxlan.cnib", "mtu", "1449")


@pytest.mark.parametrize("swap", [another_plugin, another_device])
def test_a_plugin_swapped_during_the_block(block: Bench, swap: Callable[[Bench], None]) -> None:
    block.target.before = lambda: swap(block)
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
