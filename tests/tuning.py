"""Profiles, states and pictures of nodes, for the tests of tuning."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steps.lib.models import Entry, Profile, TargetSpec
from steps.lib.restoring import restore
from steps.lib.setting import Setting, Wanted
from steps.lib.state import BlockState
from steps.lib.targets import open_target
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.protocol import Node, Target

WHOLE_KERNEL = "net.core.netdev_max_backlog"
PER_NAMESPACE = "net.ipv4.tcp_fin_timeout"
UPLINK = "eth0"

VOLATILE = {
    "nf_conntrack_count", "ns_last_pid", "perf_event_max_sample_rate", "stat_refresh", "tainted",
}  # fmt: skip
"""Files below ``/proc/sys`` that change by themselves, or by being read."""

STATE = BlockState(
    campaign="test",
    block="test",
    plugin="test",
    profile="test",
    repeat=1,
    store="results",
    install_id="test",
    boot_id="test",
    started_at=datetime.now(UTC),
    environment_fingerprint="test",
    inventory_before={},
)


@contextmanager
def held_target(name: str) -> Iterator[Target]:
    """A target that a block holds; what was tuned on it is put back, and it is taken down."""
    target = open_target(TargetSpec(kind="namespaces", name=name))
    target.prepare()
    target.save_state(STATE)
    yield target
    left = target.load_state()
    if left:
        restore(target, left)
    target.save_state(None)
    target.discard()


def entry(kind: str, value: str, name: str = "", **more: Any) -> Entry:
    """An entry in the only scope of its kind; of kernel settings, the namespace's."""
    scopes = {"sysctl": "netns", "congestion_control": "netns"}
    machine = kind.startswith(("cpu", "smt", "sysfs", "service", "kernel"))
    scope = scopes.get(kind, "node" if machine else "underlay_nic")
    given = {"kind": kind, "name": name, "value": value, "scope": scope} | more
    return Entry.model_validate(given)


def unlisted(kind: str, value: str, name: str = "") -> Entry:
    """As ``entry``, of a name that no file could have: what no node has, none of them is."""
    known = {"sysctl": "net.ipv4.tcp_sack", "ethtool_feature": "gro", "qdisc": ""}
    sort = {"ethtool_feature": "on", "qdisc": "fq"}
    listed = entry(kind, sort.get(kind, "1"), known[kind])
    return listed.model_copy(update={"name": name, "value": value})


def profile(*entries: Entry) -> Profile:
    """A profile of some entries."""
    return Profile(name="tuned", title="Tuned", description="For a test.", entries=entries)


def sysctl(name: str, value: str, scope: str = "netns") -> Entry:
    """A kernel setting."""
    return entry("sysctl", value, name, scope=scope)


BOTH = profile(sysctl(WHOLE_KERNEL, "1999", "node"), sysctl(PER_NAMESPACE, "23"))
"""One kernel setting of each scope."""


def read(
    target: Target, node: Node, name: str, kind: str = "sysctl", place: str = ""
) -> str | None:
    """The value of a setting in force on a node."""
    setting = Setting(kind, place or ("netns" if kind == "sysctl" else UPLINK), name)
    return target.read_settings(node, [setting])[setting]


def look(target: Target, *entries: Entry) -> list[tuple[str, ...] | str]:
    """What entries come down to on the first node: intended values, or what is lacking."""
    looks = target.look_up(target.nodes()[0], [e.wanted for e in entries])
    return [x.lacking or tuple(f.intended for f in x.found) for x in looks]


def picture(target: Target, separator: str = ".") -> dict[str, Any]:
    """All of a target's nodes that the tests change, by the programs that people look with."""
    found: dict[str, Any] = {}
    for node in target.nodes():
        place = f"cnib-{target.name}{separator}{node.name}"
        for command in (
            f"ethtool --show-features {UPLINK}",
            f"ethtool --show-channels {UPLINK}",
            f"tc qdisc show dev {UPLINK}",
            f"ip -oneline link show {UPLINK}",
            "sysctl --all --pattern net.ipv4.tcp",
            "ip netns exec " + place + f" cat /sys/class/net/{UPLINK}/queues/rx-0/rps_cpus",
        ):
            inside = None if command.startswith("ip netns") else place
            found[f"{node.name}: {command}"] = output(command.split(), namespace=inside)
    return found | machine()


def machine() -> dict[str, str]:
    """What belongs to the whole machine."""
    root = Path("/")
    patterns = (
        "proc/sys/net/core/*", "proc/sys/net/netfilter/*", "proc/sys/vm/*", "proc/sys/kernel/*",
        "proc/sys/fs/file-max", "proc/sys/net/ipv4/tcp_allowed_congestion_control",
        "proc/sys/net/ipv4/tcp_congestion_control", "sys/kernel/mm/transparent_hugepage/*",
        "sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan",
        "sys/block/*/queue/read_ahead_kb",
        "sys/devices/system/cpu/cpu[0-9]*/power/pm_qos_resume_latency_us",
        "sys/devices/system/cpu/cpu[0-9]*/cpuidle/*/disable",
    )  # fmt: skip
    files = [f for p in patterns for f in sorted(root.glob(p)) if f.name not in VOLATILE]
    return {str(f): f.read_text() for f in files if f.is_file() and f.stat().st_mode & 0o444}


def wanted(*entries: Entry) -> list[Wanted]:
    """As a target is asked."""
    return [e.wanted for e in entries]
