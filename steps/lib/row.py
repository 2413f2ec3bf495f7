"""Making a row of the table ``measurements`` from what was read; no judgement in here."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steps.lib.beside import Ran
from steps.lib.components import classifier
from steps.lib.models import Stream, Traffic, UdpStream
from steps.lib.models.components import IDLE
from steps.lib.reading import NodeUse, Window
from steps.lib.tables import NODE_MODES
from steps.lib.targets.observations import Sampled
from steps.lib.targets.protocol import Population
from steps.lib.traffic.protocol import ToolRecord

NominalHz = Callable[[str], float | None]
"""Nominal frequency of a node's CPUs by its name; None where the node does not tell."""

FIRST_PAIR_ONLY = (
    "sent_bits_per_s",
    "retransmits",
    "rtt_us_mean",
    "lost_percent",
    "lost_datagrams",
    "datagrams",
    "out_of_order",
    "jitter_us",
    "packets",
    "cycles_per_packet",
    "tcp_segments_sent",
    "udp_datagrams_received",
    "client_interface_packets",
    "udp_receive_buffer_errors",
)
"""Columns that would be of one pair in a row that is of several."""


def record_columns(record: ToolRecord) -> dict[str, Any]:
    """What the tool says."""
    said = {
        "tool": record.tool,
        "tool_version": record.version,
        "client_address": record.client_address,
        "server_address": record.server_address,
        "duration_s": record.duration_s,
        "mss_bytes": record.mss_bytes,
        **record.metrics,
    }
    if record.congestion_control:
        said["congestion_control"] = record.congestion_control
    return said


def cost_columns(
    window: Window, traffic: Traffic, nominal_hz: NominalHz, idle_busy_cpus: float | None
) -> dict[str, Any]:
    """What the window cost, all nodes together.

    Cycles are counted where there is hardware for it, else estimated as busy CPU-seconds times
    nominal frequency; the two are never compared (Qi et al. 2020; measurement method, section 5).

    Args:
        window: The measured one.
        traffic: The cell's.
        nominal_hz: Of the CPUs of each node.
        idle_busy_cpus: Of all nodes, without traffic.
    """
    cpu, used = window.cpu, window.cpu.used_s
    by_node = [node_cost(node, use, nominal_hz) for node, use in cpu.nodes.items()]
    each = [node["cycles"] for node in by_node]
    cycles = None if None in each else sum(each)
    packets, source = packets_of(window, traffic)
    return {
        "started_at": window.first.at,
        "cpu_window_s": cpu.wall_s,
        "cpus": cpu.last.cpus,
        "cpu_busy_s": cpu.busy_s,
        **{f"cpu_{mode}_s": used[mode] for mode in ("user", "system", "irq", "softirq", "steal")},
        "cpu_client_s": cpu.group_s("client"),
        "cpu_server_s": cpu.group_s("server"),
        "cpu_plugin_s": cpu.plugin_s,
        "cpu_foreign_s": cpu.foreign_s,
        "cpu_idle_baseline_s": None if idle_busy_cpus is None else idle_busy_cpus * cpu.wall_s,
        "cpu_by_node": by_node,
        "cycles": cycles,
        "cycles_source": "estimate" if cpu.cycles is None else "perf",
        "packets": packets,
        "packets_source": source,
        "cycles_per_packet": cycles / packets if packets and cycles is not None else None,
        "tcp_segments_sent": _both_ends(window, "Tcp.OutSegs"),
        "udp_datagrams_received": packets_received(window, traffic),
        "client_interface_packets": window.device_packets("client", window.ends.client.device),
        "uplink_interface_packets": window.device_packets(
            "client-node", window.ends.client.node.uplink
        ),
        "udp_receive_buffer_errors": window.stack(
            _receiver(traffic), f"{_udp(traffic)}.RcvbufErrors"
        ),
        "backlog_dropped_packets": window.backlog_dropped_packets,
        "uplink_dropped_packets": window.uplink_dropped_packets,
    }


def beside_columns(beside: Sequence[Ran], window: Window, record: ToolRecord) -> dict[str, Any]:
    """What ran beside the cell's own pair received; of several pairs the row is of all together.

    What is counted of the first pair only, while others ran, is null then: its sender's rate, its
    retransmits, its packets. A load's packets and cycles cannot be told from the cell's own.
    """
    rates: dict[str, list[float]] = {"load": [], "pair": []}
    for ran in beside:
        rates[ran.companion.role].append(ran.received(window).bits_per_s)
    columns: dict[str, Any] = {}
    if rates["load"]:
        columns["load_bits_per_s"] = sum(rates["load"])
        columns |= {"packets": None, "cycles_per_packet": None}
        columns["packets_source"] = "none: a load's packets and cycles are among them"
    if rates["pair"]:
        each = [float(record.metrics["throughput_bits_per_s"] or 0), *rates["pair"]]
        columns |= dict.fromkeys(FIRST_PAIR_ONLY)
        columns |= {"throughput_bits_per_s": sum(each), "pair_bits_per_s": each}
        columns["packets_source"] = "none: the packets of the first pair only are counted"
    return columns


def population_columns(population: Population) -> dict[str, Any]:
    """How long the pods took that were started at once; percentiles by nearest rank."""
    if not population.pod_start_ms:
        return {}
    sorted_ms = sorted(population.pod_start_ms)

    def rank(percent: int) -> float:
        return sorted_ms[-(-len(sorted_ms) * percent // 100) - 1]

    return {
        "pods_started_ms": sorted_ms[-1],
        "pod_start_ms_p50": rank(50),
        "pod_start_ms_p99": rank(99),
    }


def component_columns(sampled: Sampled, frequency_hz: int) -> dict[str, Any]:
    """What the CPUs' time went to, by component; without samples the reason why there are none.

    A share is samples / all samples but the idle ones, so that the parts add up to the total; of
    counted cycles CPUs that poll while idle have a share too.
    """
    counts = classifier().count(sampled.stacks)
    reason = sampled.reason
    if reason is None and not counts.keys() - set(IDLE):
        reason = "no CPU was seen busy"
    found = [{"component": name, "samples": counts[name]} for name in sorted(counts)]
    return {
        "cpu_sampling_hz": frequency_hz,
        "cpu_components": found if reason is None else None,
        "cpu_components_absent_because": reason,
    }


def node_cost(node: str, use: NodeUse, nominal_hz: NominalHz) -> dict[str, Any]:
    """A node's part; its cycles are estimated by its own frequency where they are not counted."""
    hz = nominal_hz(node)
    estimated = None if hz is None else use.busy_s * hz
    modes = {name: getattr(use.modes, name) for name in NODE_MODES}
    return {
        "node": node,
        "cpus": use.cpus,
        "window_s": use.window_s,
        "busy_s": use.busy_s,
        **modes,
        "cycles": estimated if use.cycles is None else float(use.cycles),
    }


def packets_received(window: Window, traffic: Traffic) -> int:
    """Datagrams that the receiver's kernel gave to a socket."""
    return window.stack(_receiver(traffic), f"{_udp(traffic)}.InDatagrams")


def _udp(traffic: Traffic) -> str:
    """The group of counters: IPv6 has one of its own for UDP (RFC 4113), for TCP it has none."""
    return {"ipv4": "Udp", "ipv6": "Udp6"}[traffic.family]


def packets_of(window: Window, traffic: Traffic) -> tuple[int, str]:
    """The denominator of cycles per packet, and which counter it is.

    TCP streams: segments of the sender, which are MSS-sized also under TSO; of both directions at
    once those of both ends, acknowledgements without data among them. UDP: datagrams that
    arrived. Transactions: segments or datagrams of both ends, since both directions are the work.
    """
    if isinstance(traffic, UdpStream):
        return packets_received(window, traffic), f"{_udp(traffic)}.InDatagrams of receiver"
    if traffic.protocol == "udp":
        counter = f"{_udp(traffic)}.InDatagrams"
        if {window.ends.client.kind, window.ends.server.kind} == {"host", "pod"}:
            return 0, f"none: {counter} of a node holds a tunnel's datagrams too"
        where = "the shared namespace" if window.ends.shared else "both ends"
        return _both_ends(window, counter), f"{counter} of {where}"
    if window.ends.shared:
        return window.stack("client", "Tcp.OutSegs"), "Tcp.OutSegs of the shared namespace"
    if isinstance(traffic, Stream) and traffic.direction != "both":
        return window.stack(_sender(traffic), "Tcp.OutSegs"), "Tcp.OutSegs of sender"
    return _both_ends(window, "Tcp.OutSegs"), "Tcp.OutSegs of both ends"


def raw_document(
    command: str,
    output: bytes,
    stderr: bytes,
    exit_code: int,
    sampled: Sampled | None = None,
    beside: Sequence[Ran] = (),
) -> bytes:
    """What is kept of a run: the tool's own words, with the command that made them.

    And every stack that was sampled, so that components can be told anew by other rules, in the
    form that flame graphs are made of: ``owner;outermost;...;innermost times``.
    """
    document: Mapping[str, Any] = {
        "command": command,
        "exit_code": exit_code,
        "stdout": output.decode("utf-8", "backslashreplace"),
        "stderr": stderr.decode("utf-8", "backslashreplace"),
        "beside": [
            {
                "command": ran.command,
                "stdout": ran.output.decode("utf-8", "backslashreplace"),
                "stderr": ran.stderr.decode("utf-8", "backslashreplace"),
            }
            for ran in beside
        ],
        "cpu_samples": [
            f"{';'.join((stack.owner, *reversed(stack.frames)))} {times}"
            for stack, times in (sampled.stacks if sampled else {}).items()
        ],
    }
    return json.dumps(document).encode()


def _both_ends(window: Window, counter: str) -> int:
    client = window.stack("client", counter)
    return client if window.ends.shared else client + window.stack("server", counter)


def _receiver(traffic: Traffic) -> str:
    return "client" if getattr(traffic, "direction", "forward") == "reverse" else "server"


def _sender(traffic: Traffic) -> str:
    return "server" if _receiver(traffic) == "client" else "client"
