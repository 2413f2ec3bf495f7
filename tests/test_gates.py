"""Each gate passes on a sound cell, and fails on the one wrong thing it is there to find."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from steps.lib.gates import GATES, NOISE, Evidence, check_all, first_failure
from steps.lib.models import Cell, Limits
from steps.lib.reading import Ends, Reading, Window
from steps.lib.targets.protocol import Counters, CpuTimes, DeviceCounters, Endpoint, Node
from steps.lib.traffic import asked, tool_for
from steps.lib.traffic.protocol import Interval, ToolRecord
from tests.jobs import RR, TCP, UDP
from tests.jobs import plugin as plugin_named

SECONDS = 10
GIGABIT_PER_S = 1e9
PAYLOAD = int(GIGABIT_PER_S / 8 * SECONDS)
CARRIED, STILL = int(1.05 * PAYLOAD), 1000
NODES = (Node("n1", "10.89.0.1", "eth0"), Node("n2", "10.89.0.2", "eth0"))


def endpoint(name: str, node: Node, address: str) -> Endpoint:
    return Endpoint(name, "pod", node, address, "eth0", 1450, pair="veth1234")


def counters(moved: dict[str, int]) -> Counters:
    devices = {d: DeviceCounters(b, b // 100, b // 1000, b // 1000) for d, b in moved.items()}
    return Counters(devices, {"Tcp.OutSegs": sum(moved.values()) // 1448})


def cpu(at_s: float, idle_s: float = 0.0, steal_s: float = 0.0, foreign_s: float = 0.0) -> CpuTimes:
    return CpuTimes(
        at_s=at_s,
        cpus=2,
        user_s=0.0,
        system_s=0.0,
        idle_s=idle_s,
        iowait_s=0.0,
        irq_s=0.0,
        softirq_s=0.0,
        steal_s=steal_s,
        foreign_s=foreign_s,
    )


def window(ends: Ends, moved: dict[str, dict[str, int]], **seconds: float) -> Window:
    at = datetime.now(UTC)
    still = {place: counters(dict.fromkeys(devices, 0)) for place, devices in moved.items()}
    after = {place: counters(devices) for place, devices in moved.items()}
    first = Reading(at, cpu(0.0), still)
    return Window(first, Reading(at, cpu(float(SECONDS), **seconds), after), ends)


MOVED = {
    "client": {"eth0": CARRIED, "lo": 0},
    "server": {"eth0": CARRIED, "lo": 0},
    "client-node": {"eth0": CARRIED, "vx0": CARRIED, "cni0": CARRIED, "veth1234": CARRIED},
    "server-node": {"eth0": CARRIED, "vx0": CARRIED, "cni0": CARRIED, "veth1234": CARRIED},
}


def sound(traffic: dict[str, Any] | None = None) -> Evidence:
    """Evidence of a cell with nothing wrong, over the devices its plugin declares."""
    traffic = (traffic or TCP) | {"duration_s": SECONDS}
    cell = Cell.model_validate({"path": "cross-node", "traffic": traffic})
    plugin = plugin_named("bridge-vxlan")
    proof = plugin.paths["cross-node"]
    moved = {place: dict(devices) for place, devices in MOVED.items()}
    for reference in (*proof.carries, *proof.silent):
        place, device = reference.split(":")
        device = {"@uplink": "eth0", "@pair": "veth1234"}.get(device, device)
        moved[place][device] = CARRIED if reference in proof.carries else STILL
    ends = Ends(
        endpoint("client", NODES[0], "10.90.1.2"),
        endpoint("server", NODES[1], "10.90.2.2"),
        "10.90.2.2",
    )
    tool = tool_for(cell.traffic)
    record = ToolRecord(
        tool=tool.name,
        version=tool.version,
        effective=asked(cell.traffic),
        metrics={"throughput_bits_per_s": GIGABIT_PER_S, "transactions_per_s": 10_000.0},
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
        window=window(ends, moved, idle_s=10.0),
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
        devices[device] = DeviceCounters(moved, 0, 0, 0)
    changed = replace(evidence.window.last.counters[place], devices=devices)
    counted = {**evidence.window.last.counters, place: changed}
    last = replace(evidence.window.last, counters=counted)
    return replace(evidence, window=replace(evidence.window, last=last))


def with_cpu(**seconds: float) -> Evidence:
    evidence = sound()
    assert evidence.window
    last = replace(evidence.window.last, cpu=cpu(float(SECONDS), **seconds))
    return replace(evidence, window=replace(evidence.window, last=last))


@pytest.mark.parametrize("traffic", [TCP, UDP, RR])
def test_a_sound_cell_passes_every_gate(traffic: dict[str, Any]) -> None:
    gates = check_all(sound(traffic))
    assert [g.gate for g in gates] == list(GATES)
    assert first_failure(gates) is None, first_failure(gates)


WRONG = {
    "document-complete": replace(sound(), record=None, document_error="cut off at byte 512"),
    "tool-version": with_record(version="3.12"),
    "parameters-agree": with_record(effective={**asked(sound().cell.traffic), "streams": 8}),
    "receiver-goodput": with_record(receiver_side=False),
    "duration": with_record(duration_s=9.5),
    "intervals-enough": with_record(intervals=sound().record.intervals[:5]),  # type: ignore[union-attr]
    "cpu-window": with_record(intervals=tuple(Interval(t * 0.7, 0.7) for t in range(SECONDS))),
    "address": with_record(server_address="10.89.0.2"),
    "mtu": replace(sound(), expected_mtu_bytes={"client": 1450, "server": 1500}),
    "path-mtu": replace(sound(), probe={1450: False, 1451: False}),
    "mss": with_record(mss_bytes=1448),
    "congestion-control": with_record(congestion_control="bbr"),
    "tuning-in-force": replace(sound(), untuned=("net.core.rmem_max on n1 is '1'",)),
    "plugin-unchanged": replace(sound(), fingerprints=("same", "same", "other")),
    "steal": with_cpu(idle_s=10.0, steal_s=1.0),
    "foreign-cpu": with_cpu(idle_s=10.0, foreign_s=3.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_gate_finds_the_wrong_thing_and_is_the_first_to_fail(name: str) -> None:
    failure = first_failure(check_all(WRONG[name]))
    assert failure is not None
    assert failure.gate == name
    assert failure.evidence


def test_udp_at_a_rate_nobody_asked_for_fails() -> None:
    evidence = sound(UDP)
    assert evidence.record
    effective = {**evidence.record.effective, "rate_bits_per_s": 1_048_576}
    evidence = replace(evidence, record=replace(evidence.record, effective=effective))
    failed = {g.gate for g in check_all(evidence) if g.verdict == "fail"}
    assert failed == {"parameters-agree", "rate-stated"}


def test_a_packet_larger_than_the_mtu_that_passes_fails() -> None:
    evidence = replace(sound(), probe={1450: True, 1451: True})
    failure = first_failure(check_all(evidence))
    assert failure and failure.gate == "path-mtu"


def _proof(kind: str) -> list[tuple[str, str]]:
    references = getattr(plugin_named("bridge-vxlan").paths["cross-node"], kind)
    names = {"@uplink": "eth0", "@pair": "veth1234"}
    split = [reference.split(":") for reference in references]
    return [(place, names.get(device, device)) for place, device in split]


@pytest.mark.parametrize(("place", "device"), _proof("carries"))
@pytest.mark.parametrize("moved", [0, PAYLOAD // 2, None])
def test_a_device_that_should_carry_the_traffic_and_does_not_fails(
    place: str, device: str, moved: int | None
) -> None:
    failure = first_failure(check_all(with_moved(place, device, moved)))
    assert failure and failure.gate == "path-taken"
    assert "wrong:" in failure.evidence


@pytest.mark.parametrize(("place", "device"), _proof("silent"))
def test_a_device_that_should_be_silent_and_is_not_fails(place: str, device: str) -> None:
    failure = first_failure(check_all(with_moved(place, device, CARRIED)))
    assert failure and failure.gate == "path-taken"


def test_a_run_without_both_ends_of_its_window_is_not_a_pass() -> None:
    failed = {g.gate for g in check_all(replace(sound(), window=None)) if g.verdict == "fail"}
    assert failed == {"cpu-window"}


def test_a_run_without_a_document_is_blamed_on_that_and_not_on_noise() -> None:
    evidence = replace(sound(), record=None, document_error="no output at all", window=None)
    failed = [g for g in check_all(evidence) if g.verdict == "fail"]
    assert [(g.gate, g.evidence) for g in failed] == [("document-complete", "no output at all")]


def test_only_gates_about_the_machine_are_worth_another_try() -> None:
    assert set(NOISE) == {"steal", "foreign-cpu"}
