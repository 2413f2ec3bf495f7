"""Every table of a store: its columns, with type, unit and meaning, in one place.

The docs, the JSON of ``cnibench catalog`` and the Parquet schemas are made from these lists.
Evolution: add nullable columns only; anything else raises ``SCHEMA_VERSION``, which a store carries
in its marker object, so that an older cnibench refuses a newer store instead of misreading it.
"""

import pyarrow as pa

from steps.lib.columns import Column
from steps.lib.columns import count as _count
from steps.lib.columns import number as _number
from steps.lib.columns import text as _text
from steps.lib.traffic_columns import BESIDE, BESIDE_IDENTITY, NO_DROP

SCHEMA_VERSION = 1

METHOD_VERSION = 2
"""Raised when old and new numbers stop being comparable; each raise is dated in CHANGELOG.md."""

UTC = pa.timestamp("us", tz="UTC")


_BLOCK_IDENTITY = (
    _text("campaign", "Id of the campaign"),
    _text("block", "Id of the block: plugin.profile.repeat"),
    _text("plugin", "Plugin under test, by its catalog name"),
    _text("profile", "Tuning profile, by its catalog name"),
    _count("repeat", "Number of the block among those of its plugin and profile, from 1"),
)

_CELL_IDENTITY = (
    *_BLOCK_IDENTITY,
    _text("cell", "Id of the cell: path.traffic"),
    _text(
        "role",
        "`cell`; `reference` for the host-to-host runs that show drift; `idle` for imported runs "
        "without traffic",
    ),
    _text("path", "Who talks to whom"),
    _text(
        "traffic",
        "tcp-stream, udp-stream, no-drop-stream (a search), tcp-rr, tcp-crr, udp-rr, http1, http2",
    ),
    _text("family", "Address family: ipv4, ipv6; null in rows from before it could be asked for"),
    _text("protocol", "Transport protocol"),
    _text(
        "direction",
        "forward: the client sends; reverse: the server sends; both: both at once; null for "
        "transactions",
    ),
    _count("streams", "Parallel streams; of HTTP, connections"),
    _count("message_bytes", "Size of one write or datagram; null for transactions", "byte"),
    _count("request_bytes", "Size of a request; null for streams and HTTP", "byte"),
    _count("response_bytes", "Size of a response; null for streams; of HTTP its body", "byte"),
    _count("requests_in_flight", "HTTP requests at once, on all connections; null for others"),
    _count("offered_bits_per_s", "Stated UDP rate, all streams together", "bit/s"),
    _count(
        "offered_transactions_per_s", "Stated rate of requests; null: as fast as answered", "1/s"
    ),
    *BESIDE_IDENTITY,
    _count("duration_s_asked", "Seconds to measure; of a search, of one confirmation", "s"),
    _count("omit_s", "Seconds left out at the start", "s"),
)

CAMPAIGNS = (
    _text("campaign", "Id of the campaign"),
    _text("title", "As written in the file"),
    _text("target", "Kind and name of the target"),
    _text("environment_class", "What kind of machine the rows stem from; classes never mix"),
    _text("digest", "sha256 of everything pinned: campaign, catalog documents, tools, method"),
    _text("document", "The campaign and the catalog documents it uses, as JSON"),
    _text("baseline_plugin", "The plugin that others are compared with; null if none is planned"),
    _count("method_version", "Version of the measuring method"),
    Column("created_at", UTC, "UTC", "When the campaign was first planned"),
)

PLANNED = (
    *_CELL_IDENTITY,
    _count("block_order", "Place of the block in the campaign, from 0"),
    _count("cell_order", "Place of the cell in the block, from 0"),
    _text("unsupported_reason", "Why the target or plugin cannot run it; null if it can"),
)

BLOCKS = (
    *_BLOCK_IDENTITY,
    _text("install_id", "One install of the plugin; a resumed block has two"),
    _text("boot_id", "Boot of the kernel it ran on"),
    _text("status", "ok, failed or drifted"),
    _text("reason", "Which stage failed, and why; null if ok"),
    _text("plugin_version", "As read from what is installed"),
    _text("plugin_fingerprint", "sha256 of what is installed: configuration, binaries, devices"),
    _text("environment_fingerprint", "sha256 of kernel, processor, tools, underlay"),
    _number("install_s", "s", "From the first change to the last, without the proof that it works"),
    _number("ready_s", "s", "From the first change to a proven data path"),
    _number("tune_s", "s", "Applying the profile and reading it back; null if it has no entries"),
    _number("restore_s", "s", "Putting settings back and reading them back; null likewise"),
    _number("remove_s", "s", "Removing the plugin, residue check included"),
    _number("idle_busy_cpus", "CPU", "CPUs busy with no traffic, plugin installed"),
    _count(
        "plugin_memory_bytes",
        "Memory (PSS) of the plugin's own processes on a node, mean of nodes, with no traffic; 0 "
        "of plugins that have none",
        "byte",
    ),
    _number("drift_ratio", "1", "Reference at the end / at the start of the block"),
    Column("residue", pa.list_(pa.string()), "", "What removal left behind; empty is clean"),
    Column("started_at", UTC, "UTC", "Start of the block"),
    Column("ended_at", UTC, "UTC", "End of the block"),
)

NODES = (
    _text("campaign", "Id of the campaign"),
    _text("block", "Id of the block"),
    _text("install_id", "One install of the plugin"),
    _text("node", "Name of the node"),
    _text("environment_class", "What kind of machine it is"),
    _text("environment_fingerprint", "sha256 of kernel, processor, tools, underlay"),
    _text("kernel", "Release of the kernel"),
    _text("cpu_model", "Model of the processor"),
    _count("cpus", "Logical processors"),
    _count("memory_bytes", "Main memory", "byte"),
    _number("cpu_nominal_hz", "Hz", "Nominal frequency, the factor of estimated cycles"),
    _text("boot_id", "Boot of the kernel"),
    _count("underlay_mtu_bytes", "MTU of the underlay device", "byte"),
    _text("toolbox_digest", "sha256 of the packages in the tool box"),
    _text("kube_proxy_mode", "Mode of kube-proxy, as it says itself; null if none does"),
    Column(
        "settings",
        pa.map_(pa.string(), pa.string()),
        "",
        "Settings in force while the cells ran, read back",
    ),
    Column(
        "tuned",
        pa.list_(
            pa.struct(
                [
                    ("name", pa.string()),
                    ("before", pa.string()),
                    ("intended", pa.string()),
                    ("after", pa.string()),
                ]
            )
        ),
        "",
        "What the profile set: value before, intended, read back",
    ),
    Column(
        "lacking",
        pa.list_(pa.string()),
        "",
        "Optional entries of the profile that the node does not have, each with the reason",
    ),
)

GATE = pa.struct([("gate", pa.string()), ("verdict", pa.string()), ("evidence", pa.string())])

REJECTED = pa.struct(
    [
        ("attempt", pa.int64()),
        ("steal_percent", pa.float64()),
        ("foreign_cpu_percent", pa.float64()),
        ("reason", pa.string()),
    ]
)

NODE_MODES = ("user_s", "system_s", "irq_s", "softirq_s", "steal_s")
NODE_CPU = pa.struct(
    [
        ("node", pa.string()),
        ("cpus", pa.int64()),
        *((name, pa.float64()) for name in ("window_s", "busy_s", *NODE_MODES, "cycles")),
    ]
)
COMPONENT = pa.struct([("component", pa.string()), ("samples", pa.int64())])

MEASUREMENTS = (
    *_CELL_IDENTITY,
    _text("measurement_id", "Identity of this attempt; joins intervals, histograms, raw output"),
    _text("install_id", "One install of the plugin"),
    _text("status", "ok, invalid, noisy or failed"),
    _text("reason", "Gate or error, with its evidence; null if ok"),
    _count("attempt", "Which try this is, from 1; earlier ones were rejected for noise"),
    Column("rejected_attempts", pa.list_(REJECTED), "", "Tries given up for noise, with readings"),
    Column("gates", pa.list_(GATE), "", "Every check: pass, fail or not_applicable, with evidence"),
    _text("environment_class", "What kind of machine, or `imported`; classes never mix"),
    _text("environment_fingerprint", "sha256 of kernel, processor, tools, underlay"),
    _text("plugin_fingerprint", "sha256 of what is installed"),
    _text("profile_digest", "sha256 of the settings read back in nodes and endpoints"),
    _text("tool", "Traffic tool"),
    _text("tool_version", "As the tool itself says"),
    _text("command", "Full command line of the client"),
    _text("client_address", "Address the client sent from, as the tool says"),
    _text("server_address", "Address the client dialled, as the tool says"),
    Column(
        "started_at",
        UTC,
        "UTC",
        "Start of the window; of a run that does not count, its start",
    ),
    _number("duration_s", "s", "Measured window, as the tool says"),
    # ---------- what the network did
    _number("throughput_bits_per_s", "bit/s", "Goodput at the receiver; of all pairs together"),
    _number(
        "throughput_reverse_bits_per_s",
        "bit/s",
        "Goodput from server to client while the other direction runs; of direction `both` only",
    ),
    *BESIDE,
    _number("sent_bits_per_s", "bit/s", "Rate at the sender"),
    _number("sent_reverse_bits_per_s", "bit/s", "Rate at the server; of direction `both` only"),
    _count("retransmits", "TCP segments sent again: by the sender; of transactions, by both ends"),
    _number(
        "lost_percent",
        "%",
        "UDP datagrams that did not arrive; of udp-rr, requests that had no answer",
    ),
    _count("lost_datagrams", "UDP datagrams that did not arrive; of udp-rr as above"),
    _count("datagrams", "UDP datagrams sent; of udp-rr, requests"),
    _count("out_of_order", "UDP datagrams out of order"),
    *NO_DROP,
    _number("jitter_us", "us", "UDP inter-arrival jitter (RFC 1889), as the receiver says"),
    _number("rtt_us_mean", "us", "TCP round trip under load, as the kernel says, mean of streams"),
    _number("transactions_per_s", "1/s", "Request/response pairs, or connections, per second"),
    _count("failed_requests", "HTTP requests that had no response of status 2xx; null for others"),
    _number("latency_us_min", "us", "Shortest transaction"),
    _number("latency_us_mean", "us", "Mean of transactions"),
    _number("latency_us_p50", "us", "Median of transactions"),
    _number("latency_us_p90", "us", "90th percentile of transactions"),
    _number("latency_us_p99", "us", "99th percentile of transactions"),
    _number("latency_us_p99_9", "us", "99.9th percentile; of tools that give a histogram"),
    _number("latency_us_max", "us", "Longest transaction"),
    _number("latency_us_stddev", "us", "Standard deviation of transactions"),
    _count("mss_bytes", "TCP maximum segment size of the connection", "byte"),
    _count("client_mtu_bytes", "MTU of the client's device", "byte"),
    _count("server_mtu_bytes", "MTU of the server's device", "byte"),
    _text(
        "congestion_control",
        "TCP congestion control: as the tool says, else the namespace's default",
    ),
    Column(
        "connections_tracked",
        pa.bool_(),
        "",
        "Whether a node tracked the cell's connections; null if older entries that end hide it",
    ),
    _number("client_start_ms", "ms", "Creating the client's endpoint (CNI ADD, all plugins)"),
    _number("server_start_ms", "ms", "Creating the server's endpoint (CNI ADD, all plugins)"),
    # ---------- what it cost, all nodes together, over exactly cpu_window_s
    _number("cpu_window_s", "s", "Time between the two readings of the CPU counters"),
    _count("cpus", "Logical processors of all nodes"),
    _number(
        "cpu_busy_s", "s", "cpus x window - idle - iowait - steal: every mode, softirq included"
    ),
    _number("cpu_user_s", "s", "User and nice, by tick"),
    _number("cpu_system_s", "s", "System, by tick"),
    _number("cpu_irq_s", "s", "Hard interrupts, by tick"),
    _number("cpu_softirq_s", "s", "Soft interrupts, by tick"),
    _number("cpu_steal_s", "s", "Taken by the hypervisor"),
    _number("cpu_client_s", "s", "The client tool's own processes, exact"),
    _number("cpu_server_s", "s", "The server tool's own processes, exact"),
    _number("cpu_plugin_s", "s", "The plugin's own pods, exact; 0 where it has none"),
    _number("cpu_foreign_s", "s", "Processes that belong to neither tool nor cnibench"),
    _number("cpu_idle_baseline_s", "s", "Busy time the idle node would have spent in the window"),
    Column(
        "cpu_by_node",
        pa.list_(NODE_CPU),
        "",
        "The same of each node over its own window; nodes of one kernel are one, the first",
    ),
    _number("cycles", "cycle", "CPU cycles of all nodes in the window, interrupts included"),
    _text("cycles_source", "`perf` (hardware counters) or `estimate` (busy time x nominal Hz)"),
    _count("packets", "Denominator of cycles per packet, see packets_source"),
    _text("packets_source", "Which counter of which end's network stack `packets` is"),
    _number("cycles_per_packet", "cycle", "cycles / packets over the same window"),
    _count("cpu_sampling_hz", "Samples of each CPU a second that were asked for; 0 is none", "Hz"),
    Column(
        "cpu_components",
        pa.list_(COMPONENT),
        "",
        "Samples of all CPUs in the window by what they executed (cpu-components.yaml). Component "
        "`idle` is no part of the cost, `polling` of counted cycles only: share = samples / those "
        "of all others",
    ),
    _text(
        "cpu_components_absent_because", "Why there are no samples by component; null if there are"
    ),
    _count("tcp_segments_sent", "TcpOutSegs of both ends in the window (MSS-sized under TSO)"),
    _count("udp_datagrams_received", "UdpInDatagrams of the receiver in the window"),
    _count(
        "client_interface_packets",
        "Packets of the client's device, both directions: on veth buffers of up to 64 KiB",
    ),
    _count(
        "uplink_interface_packets",
        "Packets of the uplink of the client's node, both directions: by the driver's count",
    ),
    _count("udp_receive_buffer_errors", "UdpRcvbufErrors of the receiver in the window"),
    _count(
        "backlog_dropped_packets", "Packets dropped as a CPU's backlog was full, on the worse node"
    ),
    _count("uplink_dropped_packets", "Packets that the uplinks of both ends' nodes dropped"),
)

INTERVALS = (
    _text("campaign", "Id of the campaign"),
    _text("block", "Id of the block"),
    _text("cell", "Id of the cell"),
    _text("measurement_id", "The measurement it is part of; never a repetition of its own"),
    _number("t_rel_s", "s", "Start of the interval, after the omitted seconds"),
    _number("duration_s", "s", "Length of the interval"),
    _number("bits_per_s", "bit/s", "Rate as the client sees it (its sending rate if it sends)"),
    _count("retransmits", "TCP segments sent again"),
    _number("transactions_per_s", "1/s", "Transactions per second"),
)

HISTOGRAMS = (
    _text("campaign", "Id of the campaign"),
    _text("block", "Id of the block"),
    _text("cell", "Id of the cell"),
    _text("measurement_id", "The measurement it is part of"),
    _number("low_us", "us", "Lower edge of the bucket, inclusive"),
    _number("high_us", "us", "Upper edge of the bucket, exclusive"),
    _count("transactions", "Transactions in the bucket"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "campaigns": CAMPAIGNS,
    "planned": PLANNED,
    "blocks": BLOCKS,
    "nodes": NODES,
    "measurements": MEASUREMENTS,
    "intervals": INTERVALS,
    "histograms": HISTOGRAMS,
}

PARTS_OF_MEASUREMENTS = ("intervals", "histograms")
"""Tables in which attempts that came second have left rows; those must not be seen."""


def schema(table: str) -> pa.Schema:
    """The Parquet schema of ``table``; units and descriptions travel as field metadata."""
    return pa.schema(
        [
            pa.field(c.name, c.type, metadata={"unit": c.unit, "description": c.description})
            for c in TABLES[table]
        ]
    )
