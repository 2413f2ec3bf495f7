"""Each gate passes on a sound cell, and fails on the one wrong thing it is there to find."""

from dataclasses import replace
from typing import Any

import pytest

from steps.lib.gates import GATES, NOISE, Evidence, check_all, first_failure
from steps.lib.gates.pitfalls import pitfalls
from steps.lib.reading import CpuUse
from steps.lib.targets.observations import CpuTimes, Instant
from steps.lib.targets.wire import Seen
from steps.lib.traffic import asked
from steps.lib.traffic.protocol import DocumentError, Interval, VersionError
from tests.evidence import (
    CARRIED,
    NODES,
    PAYLOAD,
    SECONDS,
    cpu,
    one_node,
    sound,
    two_nodes,
    with_cpu,
    with_cpu_around,
    with_moved,
    with_record,
    with_stack,
)
from tests.jobs import HTTP, RR, TCP, UDP
from tests.jobs import plugin as plugin_named


@pytest.mark.parametrize("traffic", [TCP, UDP, RR])
def test_a_sound_cell_passes_every_gate(traffic: dict[str, Any]) -> None:
    gates = check_all(sound(traffic))
    assert [g.gate for g in gates] == [gate.name for gate in GATES]
    assert first_failure(gates) is None, first_failure(gates)


def encrypting(wire: Seen) -> Evidence:
    """Of a plugin that claims to encrypt."""
    plugin = sound().plugin
    proof = plugin.paths["cross-node"].model_copy(update={"encrypted": True})
    claiming = plugin.model_copy(update={"paths": plugin.paths | {"cross-node": proof}})
    return replace(sound(), plugin=claiming, wire=wire)


def with_http(served_per_s: float) -> Evidence:
    """Of a server that counted so many requests a second; its answers go the other way."""
    evidence = sound(HTTP)
    assert evidence.record
    limits = evidence.limits.model_copy(update={"foreign_wire_bits_per_s_max": 1e12})
    effective = {**evidence.record.effective, "served_per_s": served_per_s}
    record = replace(evidence.record, effective=effective)
    return replace(evidence, record=record, limits=limits)


def test_a_server_that_counts_what_the_client_does_passes() -> None:
    assert first_failure(check_all(with_http(served_per_s=9_900.0))) is None


WRONG = {
    "encryption": encrypting(Seen(frames=500, readable=1)),
    "placement": replace(sound(), ends=one_node()),
    "document-own": with_record(started_utc_s=1e9 - 60.0),
    "tool-version": replace(sound(), record=None, document_error=VersionError("3.12, only 3.18")),
    "address-family": with_record(server_address="fd00::2"),
    "clock-steady": with_cpu_around(instants={"n1": Instant(10.0, "kernel", 2, clock_s=1e9)}),
    "conntrack-room": with_stack(
        "server-node", Conntrack_drop=1, Conntrack_entries=99, Conntrack_max=100
    ),
    "ports-left": with_stack("client", **{"Sockets_TCP.tw": 28_000}),
    "listen-queue": with_stack("server", TcpExt_ListenOverflows=1),
    "connections-fresh": with_stack("server", TcpExt_PAWSTimewait=1),
    "offloads-unchanged": replace(sound(), offloads={"n1/eth0": 1}),
    "foreign-wire": with_moved("client-node", "eth0", 2 * CARRIED),
    "document-complete": replace(
        sound(), record=None, document_error=DocumentError("cut off at byte 512")
    ),
    "parameters-agree": with_record(effective={**asked(sound().cell.traffic), "streams": 8}),
    "receiver-goodput": with_record(receiver_side=False),
    "requests-served": with_http(served_per_s=5_000.0),
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
    "steal": with_cpu(cpu(10.0, idle_s=10.0, steal_s=1.0)),
    "foreign-cpu": with_cpu(cpu(10.0, idle_s=10.0, foreign={"a": 3.0})),
}


def test_every_gate_is_seen_to_find_something() -> None:
    assert {gate.name for gate in GATES} == {
        *WRONG,
        *(o.gate for o in pitfalls().offences if o.gate),
    }


@pytest.mark.parametrize("name", WRONG)
def test_a_gate_finds_the_wrong_thing_and_is_the_first_to_fail(name: str) -> None:
    failure = first_failure(check_all(WRONG[name]))
    assert failure is not None
    assert failure.gate == name
    assert failure.evidence


def test_connections_that_a_node_turns_away_are_not_held_against_a_server_in_its_namespace() -> (
    None
):
    turned_away = WRONG["listen-queue"]
    on_node = replace(turned_away.ends.server, kind="host", address=NODES[1].address)
    findings = check_all(replace(turned_away, ends=replace(turned_away.ends, server=on_node)))
    found = next(f for f in findings if f.gate == "listen-queue")
    assert found.verdict == "not_applicable"
    assert found.evidence.endswith("every listener of the node: Overflows 1, Drops 0")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Instant(7013.0, "two", 64, generation=3), "13.000 s on n2; the tool's intervals 10.000 s"),
        (Instant(7013.0, "two", 64, generation=3), "wrong: n2"),
        (Instant(7010.0, "two", 64, generation=4), "started anew: n2"),
        (Instant(20.0, "two, booted again", 64), "wrong: n2; whoever reads was started anew: n2"),
    ],
)
def test_each_node_must_have_been_read_at_both_ends_of_the_window(last: Instant, said: str) -> None:
    failure = first_failure(check_all(two_nodes(n2=last)))
    assert failure and failure.gate == "cpu-window"
    assert said in failure.evidence


def test_each_kernel_has_the_capacity_of_its_own_time() -> None:
    evidence = two_nodes()
    assert first_failure(check_all(evidence)) is None
    assert evidence.window
    use = evidence.window.cpu
    assert use.capacity_s == pytest.approx(2 * 10.0 + 64 * 10.01)
    assert use.busy_s == pytest.approx(660.64 - 600.0)
    assert use.wall_s == pytest.approx(660.64 / 66), "so that cpus x window is the capacity"


def test_nodes_of_one_kernel_have_its_cpus_once() -> None:
    first = dict.fromkeys(("n1", "n2"), Instant(0.0, "one", 2))
    last = {"n1": Instant(10.0, "one", 2), "n2": Instant(10.003, "one", 2)}
    use = CpuUse(cpu(0, instants=first), cpu(0, instants=last))
    assert (use.last.cpus, use.capacity_s, use.wall_s) == (2, 20.0, 10.0)


def test_cycles_are_those_of_one_life_of_who_counts_them() -> None:
    def counted(generation: int, cycles: int) -> CpuTimes:
        instants = {"n1": Instant(float(cycles), "one", 2, generation)}
        return replace(cpu(0, instants=instants), cycles={"n1": cycles})

    assert CpuUse(counted(1, 10), counted(1, 25)).cycles == 15
    assert CpuUse(counted(1, 10), counted(2, 25)).cycles is None


def test_strangers_are_counted_one_by_one() -> None:
    first = cpu(0.0, foreign={"stays": 5.0, "ends": 100.0})
    use = CpuUse(first, cpu(10.0, foreign={"stays": 6.0, "comes": 0.5}))
    assert (use.foreign_s, use.vanished) == (1.5, ["ends"])


@pytest.mark.parametrize(("limit", "verdict"), [(10.0, "fail"), (100.0, "pass")])
def test_a_stranger_that_ends_in_the_window_may_have_used_all_of_it(
    limit: float, verdict: str
) -> None:
    evidence = with_cpu(cpu(10.0, idle_s=10.0), cpu(0.0, foreign={"somebody/job": 0.1}))
    limits = evidence.limits.model_copy(update={"foreign_cpu_percent_max": limit})
    gates = {g.gate: g for g in check_all(replace(evidence, limits=limits))}
    assert gates["foreign-cpu"].verdict == verdict
    assert gates["foreign-cpu"].evidence.endswith("ended meanwhile: somebody/job")


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


@pytest.mark.parametrize(("frames", "verdict"), [(19, "fail"), (20, "pass")])
def test_encryption_is_proven_by_enough_frames_of_which_none_is_readable(
    frames: int, verdict: str
) -> None:
    gates = {g.gate: g for g in check_all(encrypting(Seen(frames=frames)))}
    assert gates["encryption"].verdict == verdict


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
    evidence = replace(
        sound(), record=None, document_error=DocumentError("no output at all"), window=None
    )
    failed = [g for g in check_all(evidence) if g.verdict == "fail"]
    assert [(g.gate, g.evidence) for g in failed] == [("document-complete", "no output at all")]


def test_only_gates_about_the_machine_are_worth_another_try() -> None:
    assert set(NOISE) == {"steal", "foreign-cpu", "foreign-wire"}
