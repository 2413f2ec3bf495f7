"""Made-up rows of a campaign, the same ones for the same seed: food for the tests of the report."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from steps.lib.catalog import Catalog, Job
from steps.lib.models import PATH_NAMES, Campaign, Matrix, Plugin, Stream, Traffic, UdpStream
from steps.lib.plan import Block, Plan, PlannedCell, block_identity, cell_identity, make_plan
from steps.lib.plan import planned_rows as rows_of_plan
from steps.lib.tables import TABLES, schema

Row = dict[str, Any]
Rows = dict[str, list[Row]]

START = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)
BOOT = "6c1f2a44-0000-4000-8000-000000000001"
FINGERPRINT = "e" * 64

SPEEDS = {"alpha": 1.0, "bravo": 0.98, "charlie": 0.74, "delta": 0.86, "echo": 0.7, "foxtrot": 0.85}
"""Throughput of each made-up plugin, relative to the baseline, which is the first."""

UNSUPPORTED = {"foxtrot": {"external-service": "a shared link publishes no ports on the node"}}

GBITS = {
    "in-pod": 44.0,
    "same-node": 31.0,
    "cross-node": 24.0,
    "pod-service": 22.0,
    "external-service": 19.0,
    "host-to-host": 25.0,
}


def make_job(name: str = "synthetic", repeats: int = 3, plugins: Sequence[str] = ()) -> Job:
    """Two profiles, the demonstration matrix, and all made-up plugins or some."""
    catalog = Catalog()
    plugins = plugins or tuple(SPEEDS)
    return Job(
        campaign=Campaign.model_validate(
            {
                "name": name,
                "title": "Made-up plugins on one machine",
                "target": {"kind": "namespaces"},
                "plugins": plugins,
                "profiles": ["base", "dakic-2-kernel"],
                "matrix": "demo",
                "repeats": repeats,
                "seed": 7,
            }
        ),
        plugins=tuple(_plugin(p) for p in plugins),
        profiles=tuple(catalog.profiles.load(p) for p in ("base", "dakic-2-kernel")),
        matrix=catalog.matrices.load("demo"),
    )


def make_small_job(
    name: str = "small", repeats: int = 2, plugins: Sequence[str] = ("alpha", "bravo")
) -> Job:
    """Two plugins, one path, one traffic of each kind: quick to draw."""
    job = make_job(name, repeats, plugins)
    kinds = {traffic.kind: traffic for traffic in job.matrix.traffic}
    matrix = job.matrix.model_dump() | {
        "paths": ["cross-node"],
        "traffic": [traffic.model_dump() for traffic in kinds.values()],
    }
    return job.model_copy(update={"matrix": Matrix.model_validate(matrix)})


def _plugin(name: str) -> Plugin:
    unsupported = UNSUPPORTED.get(name, {})
    return Plugin.model_validate(
        {
            "name": name,
            "title": f"{name.title()} (made up)",
            "description": "Does not exist.",
            "source": {"name": "example.org/made-up", "version": "v1.2.3"},
            "targets": ["namespaces"],
            "install": {"mechanism": "host-network"},
            "baseline": name == "alpha",
            "paths": {p: {"carries": ["client:lo"]} for p in PATH_NAMES if p not in unsupported},
            "unsupported": unsupported,
        }
    )


def make_rows(job: Job, *, fail_all: bool = False, created_at: datetime = START) -> Rows:
    """Rows of all tables. Some cells are invalid, noisy, failed, missing; one block drifted."""
    plan = make_plan(job)
    rows: Rows = {table: [] for table in TABLES}
    rows["planned"] = rows_of_plan(plan)
    rows["campaigns"] = [_campaign_row(plan, created_at)]
    for block in plan.blocks:
        rows["blocks"].append(_block_row(block, fail_all, created_at))
        rows["nodes"].extend(_node_rows(block))
        for cell in block.cells:
            row = _measurement_row(block, cell, fail_all, created_at)
            if row is not None:
                rows["measurements"].append(row)
                rows["histograms"].extend(_histogram_rows(row))
    return rows


def make_database(*campaigns: Rows) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the tables of a store."""
    database = duckdb.connect()
    for name in TABLES:
        shape = schema(name)
        filled = [{f.name: r.get(f.name) for f in shape} for c in campaigns for r in c[name]]
        database.register(f"_{name}", pa.Table.from_pylist(filled, schema=shape))
        database.execute(f"create table {name} as select * from _{name}")
        database.unregister(f"_{name}")
    return database


def _campaign_row(plan: Plan, created_at: datetime) -> dict[str, Any]:
    return {
        "campaign": plan.job.campaign.name,
        "title": plan.job.campaign.title,
        "target": "namespaces/local",
        "environment_class": "single-kernel",
        "digest": "d" * 64,
        "document": plan.job.model_dump_json(),
        "baseline_plugin": plan.baseline,
        "method_version": 1,
        "created_at": created_at,
    }


def _dice(*words: object) -> random.Random:
    return random.Random("/".join(str(w) for w in words))


def _block_failed(block: Block, fail_all: bool) -> bool:
    return fail_all or block.id == "echo.dakic-2-kernel.r2"


def _block_row(block: Block, fail_all: bool, created_at: datetime) -> dict[str, Any]:
    dice = _dice("block", block.id)
    row: dict[str, Any] = block_identity(block) | {
        "install_id": f"install-{block.order}",
        "boot_id": BOOT,
        "status": "ok",
        "plugin_version": "v1.2.3",
        "plugin_fingerprint": f"{block.plugin.name:f<64}",
        "environment_fingerprint": FINGERPRINT,
        "started_at": created_at + timedelta(minutes=3 * block.order),
        "ended_at": created_at + timedelta(minutes=3 * block.order + 2.5),
    }
    if _block_failed(block, fail_all):
        return row | {"status": "failed", "reason": "install-plugin: CNI ADD ended with status 1"}
    row |= {
        "install_s": dice.uniform(0.2, 1.5),
        "ready_s": dice.uniform(1.6, 2.5),
        "tune_s": dice.uniform(0.01, 0.05),
        "restore_s": dice.uniform(0.01, 0.05),
        "remove_s": dice.uniform(0.3, 0.9),
        "idle_busy_cpus": dice.uniform(0.02, 0.2),
        "drift_ratio": dice.uniform(0.9, 1.1),
        "residue": [],
    }
    if block.id == "bravo.base.r1":
        row |= {
            "status": "drifted",
            "reason": "reference changed by a factor of 1.412, limit 30.0 %",
            "drift_ratio": 1.412,
            "residue": ["link br0 on node-a"],
        }
    return row


def _node_rows(block: Block) -> Iterator[dict[str, Any]]:
    tuned = [
        {
            "name": entry.name,
            "before": entry.value if index % 3 == 0 else "4194304",
            "intended": entry.value,
            "after": entry.value,
        }
        for index, entry in enumerate(block.profile.entries)
    ]
    for node in ("node-a", "node-b"):
        yield {
            "campaign": block.job.campaign.name,
            "block": block.id,
            "install_id": f"install-{block.order}",
            "node": node,
            "environment_class": "single-kernel",
            "environment_fingerprint": FINGERPRINT,
            "kernel": "6.18.0-made-up",
            "cpu_model": "Imaginary CPU 3000",
            "cpus": 4,
            "memory_bytes": 16 * 2**30,
            "cpu_nominal_hz": 2.5e9,
            "boot_id": BOOT,
            "underlay_mtu_bytes": 1500,
            "toolbox_digest": "t" * 64,
            "settings": [("net.core.rmem_max", "16777216" if tuned else "4194304")],
            "tuned": tuned,
        }


def _measurement_row(
    block: Block, cell: PlannedCell, fail_all: bool, created_at: datetime
) -> dict[str, Any] | None:
    if cell.unsupported_reason:
        return None
    dice = _dice("cell", block.id, cell.id)
    started = created_at + timedelta(minutes=3 * block.order, seconds=5 * cell.order)
    row: dict[str, Any] = cell_identity(block, cell) | {
        "measurement_id": f"{block.id}.{cell.id}",
        "install_id": f"install-{block.order}",
        "attempt": 1,
        "rejected_attempts": [],
        "gates": [_gate("steal", "pass", "0.3 % of all CPUs, limit 5.0 %")],
        "environment_class": "single-kernel",
        "environment_fingerprint": FINGERPRINT,
        "plugin_fingerprint": f"{block.plugin.name:f<64}",
        "profile_digest": "p" * 64,
        "started_at": started,
        "client_start_ms": None if cell.cell.path == "host-to-host" else dice.gauss(42, 6),
        "server_start_ms": dice.gauss(42, 6),
    }
    if _block_failed(block, fail_all):
        return row | {"status": "failed", "reason": "client: connection refused", "gates": []}
    return _with_outcome(row, block, cell.cell.traffic, dice)


def _with_outcome(
    row: dict[str, Any], block: Block, traffic: Traffic, dice: random.Random
) -> dict[str, Any] | None:
    luck = dice.random() if row["role"] == "cell" else 1.0
    if luck < 0.005:
        return None
    if luck < 0.015:
        evidence = "client 1450 (expected 1500), server 1500 (expected 1500)"
        return row | {
            "status": "invalid",
            "reason": f"mtu: {evidence}",
            "gates": [_gate("mtu", "fail", evidence)],
        }
    if luck < 0.03:
        reason = "steal: 11.2 % of all CPUs, limit 5.0 %"
        tries = [
            {
                "attempt": n,
                "steal_percent": 11.2,
                "foreign_cpu_percent": 1.0,
                "reason": reason,
            }
            for n in (1, 2, 3)
        ]
        return row | {
            "status": "noisy",
            "reason": reason,
            "attempt": 3,
            "rejected_attempts": tries,
        }
    speed = SPEEDS[block.plugin.name] if row["path"] not in ("in-pod", "host-to-host") else 1.0
    speed *= 1.02 if block.profile.entries else 1.0
    return (
        row | {"status": "ok"} | _numbers(row["path"], traffic, speed * dice.gauss(1, 0.015), dice)
    )


def _histogram_rows(row: Row) -> Iterator[Row]:
    """A distribution with a tail, of each run of transactions."""
    rate = row.get("transactions_per_s")
    identity = ("campaign", "block", "cell", "measurement_id")
    if rate is None:
        return
    for step in range(24):
        low = int(0.6e6 / rate * 1.15**step)
        many = int(400_000 * math.exp(-((step - 4) ** 2) / 6 if step < 7 else -0.6 * step))
        if many:
            edges = {"low_us": low, "high_us": int(low * 1.15) + 1, "transactions": many}
            yield {name: row[name] for name in identity} | edges


def _gate(gate: str, verdict: str, evidence: str) -> dict[str, str]:
    return {"gate": gate, "verdict": verdict, "evidence": evidence}


def _numbers(path: str, traffic: Traffic, speed: float, dice: random.Random) -> dict[str, Any]:
    seconds = traffic.duration_s
    busy = min(3.9, dice.gauss(2.4, 0.1)) * seconds
    if isinstance(traffic, UdpStream):
        lost = dice.choice([0.0, 0.0, 0.4, 2.5]) * dice.random()
        rate = traffic.rate_bits_per_s * (1 - lost / 100)
        packets = int(rate * seconds / 8 / traffic.message_bytes)
        numbers: Mapping[str, Any] = {
            "throughput_bits_per_s": rate,
            "sent_bits_per_s": float(traffic.rate_bits_per_s),
            "offered_bits_per_s": traffic.rate_bits_per_s,
            "lost_percent": lost,
            "jitter_us": dice.uniform(2, 9),
            "packets_source": "Udp.InDatagrams of receiver",
        }
        busy *= 0.4
    elif isinstance(traffic, Stream):
        rate = GBITS[path] * 1e9 * speed * (1.1 if traffic.streams > 1 else 1)
        packets = int(rate * seconds / 8 / 1448)
        numbers = {
            "throughput_bits_per_s": rate,
            "retransmits": dice.randrange(40),
            "rtt_us_mean": dice.uniform(20, 90),
            "packets_source": "Tcp.OutSegs of sender",
        }
    else:
        per_s = (21_000 if traffic.kind == "tcp-rr" else 6_000) * speed
        packets = int(per_s * seconds * 2)
        numbers = {
            "transactions_per_s": per_s,
            "latency_us_mean": 1e6 / per_s,
            "latency_us_p50": 0.97e6 / per_s,
            "latency_us_p90": 1.3e6 / per_s,
            "latency_us_p99": 1.9e6 / per_s * dice.gauss(1, 0.1),
            "packets_source": "Tcp.OutSegs of both ends",
        }
    return {
        **numbers,
        "tool": "made-up",
        "tool_version": "3.21",
        "duration_s": float(seconds),
        "cpu_window_s": float(seconds),
        "cpus": 4,
        "cpu_busy_s": busy,
        "cpu_steal_s": 0.01,
        "cpu_foreign_s": 0.02,
        "cpu_idle_baseline_s": 0.1 * seconds,
        "cycles": busy * 2.5e9,
        "cycles_source": "estimate",
        "packets": packets,
        "cycles_per_packet": busy * 2.5e9 / packets,
    }
