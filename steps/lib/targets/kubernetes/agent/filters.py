"""Packet filters of the node: nftables, both back ends of iptables, ipsets, virtual servers."""

import shutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from steps.lib.targets import netfilter
from steps.lib.targets.kubernetes.agent import programs

BACK_ENDS = tuple(
    f"{family}-{mechanism}"
    for family in ("iptables", "ip6tables")
    for mechanism in ("nft", "legacy")
)
_USED_TABLES = {"iptables": "ip_tables_names", "ip6tables": "ip6_tables_names"}
_COMPATIBLE_TABLES = {
    f"table {family} {name}"
    for family in ("ip", "ip6")
    for name in ("filter", "nat", "mangle", "raw", "security")
}
"""Of iptables-nft; ``iptables`` tells their rules, which ``nft`` shows in parts only."""


def nft(ignored_tables: Sequence[str]) -> list[str]:
    """Tables, chains, sets and rules, without counters and handles."""
    ignored = {f"table {name}" for name in ignored_tables} | _COMPATIBLE_TABLES
    listing = "\n".join(programs.lines("nft", "--stateless", "list", "ruleset"))
    lines = netfilter.nft_lines(listing)
    return [line for line in lines if line.split(" > ")[0] not in ignored]


def iptables(ignored_chains: Sequence[str]) -> list[str]:
    """Chains and rules of both back ends and both families."""
    return [
        f"{back_end} {line}"
        for back_end in BACK_ENDS
        for line in netfilter.iptables_lines(saved(back_end))
        if not _is_about(line, ignored_chains)
    ]


def saved(back_end: str) -> str:
    """What ``iptables-save`` prints; nothing where the back end was never used."""
    family, _, mechanism = back_end.partition("-")
    if shutil.which(f"{back_end}-save") is None:
        return ""
    if mechanism == "legacy":
        # Asking for a table would make the kernel build it.
        used = Path("/proc/1/net", _USED_TABLES[family])
        if not used.exists() or not used.read_text().strip():
            return ""
    return "\n".join(programs.lines(f"{back_end}-save"))


def target_chain(rule: str) -> str | None:
    """The chain that a rule jumps or goes to."""
    words = rule.split()
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return None


def matches(name: str | None, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def ipsets() -> list[str]:
    """Sets with their types; what is in them comes and goes."""
    lines, name = [], ""
    for line in programs.lines("ipset", "list", "-terse"):
        key, _, value = line.partition(": ")
        if key == "Name":
            name = value
        elif key == "Type":
            lines.append(f"{name} {value}")
    return lines


def virtual_servers() -> list[str]:
    """Services of IPVS; not where kube-proxy makes them, which is told by its device."""
    file = Path("/proc/1/net/ip_vs")
    if not file.exists() or "kube-ipvs0:" in Path("/proc/1/net/dev").read_text():
        return []
    lines = (line.split() for line in file.read_text().splitlines()[3:])
    return [" ".join(words[:3]) for words in lines if words and words[0] in ("TCP", "UDP", "FWM")]


def _is_about(line: str, patterns: Sequence[str]) -> bool:
    """Whether a chain or rule belongs to chains of these names."""
    _, _, rest = line.partition(" > ")
    words = rest.split()
    own = words[1] if len(words) > 1 else None
    return matches(own, patterns) or matches(target_chain(rest), patterns)
