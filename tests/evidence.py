"""Evidence of a sound cell, and of cells with one thing wrong, for tests of the gates."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from steps.lib.gates import Evidence
from steps.lib.models import Cell, Limits
from steps.lib.reading import Ends, Reading, Window
from steps.lib.targets.observations import Counters, CpuTimes, DeviceCounters, Instant
from steps.lib.targets.proc import Modes
from steps.lib.targets.protocol import Endpoint, Node
from steps.lib.traffic import asked, tool_for
from steps.lib.traffic.protocol import Interval, ToolRecord
from tests.jobs import TCP
from tests.jobs import plugin as plugin_named

SECONDS = 10
GIGABIT_PER_S = 1e9
PAYLOAD = int(GIGABIT_PER_S / 8 * SECONDS)
CARRIED, STILL = int(1.05 * PAYLOAD), 1000
TRANSACTIONS_PER_S = 10_000.0
NODES = (Node("n1", "10.89.0.1", "eth0"), Node("n2", "10.89.0.2", "eth0"))


def endpoint(name: str, node: Node, address: str) -> Endpoint:
    return Endpoint(name, "pod", node, address, "eth0", 1450, pair="veth1234")


def counters(place: str, moved: dict[str, int]) -> Counters:
    """Of a place that sends, or one that receives."""

    def counted(moved: int) -> DeviceCounters:
        ways = (moved, moved // 100) if place.startswith("server") else (moved // 100, moved)
        return DeviceCounters(*ways, moved // 1000, moved // 1000, 0)

    devices = {device: counted(moved) for device, moved in moved.items()}
    sent = sum(moved.values())
    return Counters(devices, {"Tcp.OutSegs": sent // 1448, "Udp.InDatagrams": sent // 1300})


def cpu(
    at_s: float,
    idle_s: float = 0.0,
    steal_s: float = 0.0,
    foreign: dict[str, float] | None = None,
    instants: dict[str, Instant] | None = None,
) -> CpuTimes:
    """Of one kernel with two CPUs, unless instants are given: then of the node with most CPUs."""
    instants = instants or {"n1": Instant(at_s, "kernel", 2, clock_s=1e9 + at_s)}
    told = {instant.kernel: node for node, instant in reversed(instants.items())}
    largest = max(told.values(), key=lambda node: instants[node].cpus)
    modes = {node: Modes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0) for node in told.values()}
    modes[largest] = modes[largest]._replace(idle_s=idle_s, steal_s=steal_s)
    return CpuTimes(instants, modes, foreign or {})


def window(ends: Ends, moved: dict[str, dict[str, int]]) -> Window:
    at = datetime.now(UTC)
    still = {place: counters(place, dict.fromkeys(devices, 0)) for place, devices in moved.items()}
    after = {place: counters(place, devices) for place, devices in moved.items()}
    first = Reading(at, cpu(0.0), still)
    return Window(first, Reading(at, cpu(float(SECONDS), idle_s=10.0), after), ends)


def sound(of: dict[str, Any] | None = None) -> Evidence:
    """Evidence of a cell with nothing wrong, over the devices its plugin declares."""
    traffic: dict[str, Any] = (of or TCP) | {"duration_s": SECONDS}
    cell = Cell.model_validate({"path": "cross-node", "traffic": traffic})
    plugin = plugin_named("bridge-vxlan")
    proof = plugin.paths["cross-node"]
    rate = float(traffic.get("rate_bits_per_s", GIGABIT_PER_S))
    carried = int(1.05 * rate / 8 * SECONDS)
    received = int(TRANSACTIONS_PER_S * SECONDS * 1300)
    if cell.traffic.kind == "http2":
        carried = received
    if cell.traffic.kind == "tcp-rr":
        carried = int(TRANSACTIONS_PER_S * SECONDS * 2 * 66)
    moved: dict[str, dict[str, int]] = {
        place: {} for place in ("client", "server", "client-node", "server-node")
    }
    for reference in (*proof.carries, *proof.silent):
        place, device = reference.split(":")
        device = {"@uplink": "eth0", "@pair": "veth1234"}.get(device, device)
        moved[place][device] = carried if reference in proof.carries else STILL
    ends = Ends(
        endpoint("client", NODES[0], "10.90.1.2"),
        endpoint("server", NODES[1], "10.90.2.2"),
        "10.90.2.2",
    )
    tool = tool_for(cell.traffic)
    record = ToolRecord(
        tool=tool.name,
        version=tool.version,
        effective=asked(cell.traffic)
        | {"served_per_s": TRANSACTIONS_PER_S, "received_bytes": received},
        metrics={
            "throughput_bits_per_s": rate,
            "sent_bits_per_s": rate,
            "transactions_per_s": TRANSACTIONS_PER_S,
            "failed_requests": 0,
        },
        intervals=tuple(Interval(float(t), 1.0, GIGABIT_PER_S) for t in range(SECONDS)),
        duration_s=float(SECONDS),
        client_address="10.90.1.2",
        server_address="10.90.2.2",
        mss_bytes=1398,
        congestion_control="cubic",
        receiver_side=True,
    )
    return Evidence(
        cell=cell,
        plugin=plugin,
        limits=Limits(steal_percent_max=2, foreign_cpu_percent_max=10),
        tool=tool,
        ends=ends,
        expected_mtu_bytes={"client": 1450, "server": 1450},
        probe={1450: True, 1451: False},
        untuned=(),
        fingerprints=("same", "same", "same"),
        record=record,
        document_error=None,
        window=window(ends, moved),
        around=window(ends, moved),
        port_range="32768 60999",
    )


def with_record(**changes: Any) -> Evidence:
    evidence = sound()
    assert evidence.record
    return replace(evidence, record=replace(evidence.record, **changes))


def with_moved(place: str, device: str, moved: int | None) -> Evidence:
    evidence = sound()
    assert evidence.window
    devices = dict(evidence.window.last.counters[place].devices)
    if moved is None:
        del devices[device]
    else:
        ways = (moved, 0) if place.startswith("server") else (0, moved)
        devices[device] = DeviceCounters(*ways, 0, 0, 0)
    changed = replace(evidence.window.last.counters[place], devices=devices)
    counted = {**evidence.window.last.counters, place: changed}
    last = replace(evidence.window.last, counters=counted)
    return replace(evidence, window=replace(evidence.window, last=last))


def with_cpu(last: CpuTimes, first: CpuTimes | None = None) -> Evidence:
    evidence = sound()
    window = evidence.window
    assert window
    began = replace(window.first, cpu=first or window.first.cpu)
    ended = replace(window.last, cpu=last)
    return replace(evidence, window=replace(window, first=began, last=ended))


def two_nodes(**later: Instant) -> Evidence:
    """Two kernels with clocks of their own; the second node's last instant may be another."""
    first = {"n1": Instant(100.0, "one", 2), "n2": Instant(7000.0, "two", 64, generation=3)}
    last = {"n1": Instant(110.0, "one", 2), "n2": Instant(7010.01, "two", 64, generation=3)}
    return with_cpu(cpu(0, idle_s=600.0, instants=last | later), cpu(0, instants=first))


def with_stack(place: str, **last: int) -> Evidence:
    """With counters of a place's stack that grew from 0 to these while the cell ran."""
    evidence = sound()
    counted = evidence.around.last.counters
    stack = {name.replace("_", ".", 1): value for name, value in last.items()}
    changed = replace(counted[place], stack={**counted[place].stack, **stack})
    ended = replace(evidence.around.last, counters={**counted, place: changed})
    return replace(evidence, around=replace(evidence.around, last=ended))


def with_cpu_around(**changes: Any) -> Evidence:
    around = sound().around
    last = replace(around.last, cpu=replace(around.last.cpu, **changes))
    return replace(sound(), around=replace(around, last=last))


def one_node() -> Ends:
    ends = sound().ends
    return replace(ends, server=replace(ends.server, node=NODES[0]))
