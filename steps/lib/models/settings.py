"""What a profile may set: lists of what is known to cut no node off, and the bounds of some.

As lists of what may be, since a kernel has too many settings to know all that may not.
"""

import re
from typing import NamedTuple

QDISCS = "bfifo|cake|codel|fq|fq_codel|fq_pie|pfifo|pfifo_fast|pie|sfq"
"""Queue disciplines that let everything through without parameters."""

FEATURES = (
    r"rx|tx|tso|gso|gro|lro|sg"
    r"|rx-checksumming|tx-checksum-(ipv4|ipv6|ip-generic|sctp)"
    r"|generic-(segmentation|receive)-offload|large-receive-offload"
    r"|tx-(tcp\w*(-(ecn|accecn|mangleid))?|udp|udp_tnl(-csum)?|gre(-csum)?|ipxip[46])-segmentation"
    r"|tx-gso-(partial|list|robust)|rx-gro-(hw|list)|rx-udp-gro-forwarding"
    r"|tx-scatter-gather(-fraglist)?|tx-nocache-copy|receive-hashing"
)
"""Features of a device: offloads, but for those that change what is received or where it goes."""

FILES = (
    r"kernel/mm/(?!hugepages/)[\w*/-]+"
    r"|block/[\w*-]+/queue/(read_ahead_kb|nr_requests|scheduler|rq_affinity|nomerges|add_random)"
    r"|devices/system/cpu/(intel_pstate|cpufreq|cpu\*/power)/[\w*/-]+"
)
"""Files below ``/sys``, about memory, disks and processors.

Not ``hugepages``, which a node keeps for nobody else: too many take all of its memory.
"""

SERVICES = (
    "irqbalance|tuned|thermald|power-profiles-daemon|cron|packagekit|snapd|unattended-upgrades"
)


class Bounds(NamedTuple):
    """Kernel settings by a pattern of their names, and what a node can live with."""

    names: str
    least: int | None = None
    most: int | None = None
    values: str = r".+"
    means: str = ""


SYSCTLS = (
    Bounds(r"net\.core\.default_qdisc", values=QDISCS, means=f"one of {QDISCS}"),
    Bounds(r"net\.core\.netdev_(max_backlog|budget|budget_usecs)", least=64),
    Bounds(r"net\.core\.(somaxconn|optmem_max)", least=1024),
    Bounds(
        r"net\.core\.(bpf_jit_(enable|harden)|busy_(poll|read)|[rw]mem_(max|default)|dev_weight\w*"
        r"|flow_limit\w*|gro_normal_batch|netdev_tstamp_prequeue|rps_\w+|skb_defer_max|max_skb_frags"
        r"|high_order_alloc_disable|txrehash|mem_pcpu_rsv)"
    ),
    Bounds(r"net\.ipv4\.tcp_(retries2|max_orphans)", least=8),
    Bounds(
        r"net\.ipv4\.tcp_[rw]mem", values=r"[1-9]\d{3,} [1-9]\d{3,} [1-9]\d{3,}",
        means="three sizes in bytes of at least 1000, as `4096 131072 6291456`",
    ),
    Bounds(r"net\.ipv4\.(tcp|udp)_(?!mem$)[a-z0-9_]+"),
    Bounds(
        r"net\.ipv4\.ip_local_port_range", values=r"[12]?\d{4} [4-6]\d{4}",
        means="two ports at least 10000 apart, as `1024 65535`",
    ),
    Bounds(r"net\.ipv4\.conf\.[A-Za-z0-9_/-]+\.rp_filter"),
    Bounds(r"net\.bridge\.bridge-nf-call-\w+"),
    Bounds(r"net\.netfilter\.nf_conntrack_max", least=65536),
    Bounds(r"net\.netfilter\.nf_conntrack_buckets", least=16384),
    Bounds(r"net\.netfilter\.nf_conntrack_\w*timeout\w*", least=10),
    Bounds(r"net\.netfilter\.nf_conntrack_(acct|timestamp|checksum|tcp_(be_liberal|loose))"),
    Bounds(r"fs\.file-max", least=262144),
    Bounds(r"vm\.min_free_kbytes", least=1024, most=1048576),
    Bounds(
        r"vm\.(dirty_\w+|swappiness|zone_reclaim_mode|stat_interval|vfs_cache_pressure"
        r"|page-cluster|compaction_proactiveness|laptop_mode)"
    ),
    Bounds(
        r"kernel\.(sched_(min_granularity|wakeup_granularity|latency|migration_cost)_ns"
        r"|sched_(autogroup_enabled|energy_aware)|numa_balancing\w*|hung_task_timeout_secs"
        r"|(nmi_|soft_)?watchdog|timer_migration)"
    ),
)  # fmt: skip
"""Forwarding, addresses and neighbours are not among them, nor what cannot be taken back."""

SYSCTL_NAMES = "|".join(f"(?:{bounds.names})" for bounds in SYSCTLS)


def complaint(name: str, value: str) -> str | None:
    """What is wrong with the value of a kernel setting, or None."""
    bounds = next(each for each in SYSCTLS if re.fullmatch(each.names, name))
    if not re.fullmatch(bounds.values, value):
        return f"of {name} is {bounds.means}, found {value!r}"
    if bounds.least is None:
        return None
    # The kernel reads 0x10 as well, and reads back 16.
    number = int(value, 0) if re.fullmatch(r"0x[0-9a-f]+|0|[1-9][0-9]*", value) else -1
    if number >= bounds.least and (bounds.most is None or number <= bounds.most):
        return None
    most = f" to {bounds.most}" if bounds.most else " or more"
    return f"of {name} is {bounds.least}{most}, with less a node may be cut off; found {value!r}"
