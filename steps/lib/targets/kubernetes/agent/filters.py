"""Packet filters of the node: nftables, both back ends of iptables, ipsets, virtual servers."""

import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from steps.lib.targets import netfilter
from steps.lib.targets.kubernetes.agent import programs
from steps.lib.targets.kubernetes.agent.patterns import matches

BACK_ENDS = tuple(
    f"{family}-{mechanism}"
    for family in ("iptables", "ip6tables")
    for mechanism in ("nft", "legacy")
)
_USED_TABLES = {"iptables": "ip_tables_names", "ip6tables": "ip6_tables_names"}
_NFT_FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}
_COMPATIBLE_TABLES = {
    f"table {family} {name}"
    for family in _NFT_FAMILIES.values()
    for name in ("filter", "nat", "mangle", "raw", "security")
}
"""Of iptables-nft; ``iptables`` tells their rules, which ``nft`` shows in parts only."""

_INCOMPATIBLE = re.compile(r"^# Table `(\w+)' is incompatible", re.MULTILINE)

KUBE_PROXYS_DEVICE = "kube-ipvs0"


def nft(ignored_tables: Sequence[str], ignored_chains: Sequence[str]) -> list[str]:
    """Tables, chains, sets and rules, without counters and handles.

    Of tables of iptables-nft only what it does not tell itself.
    """
    ignored = {f"table {name}" for name in ignored_tables}
    told = _COMPATIBLE_TABLES - _incompatible_tables()
    listing = "\n".join(programs.lines("nft", "--stateless", "list", "ruleset"))
    return [
        line
        for line in netfilter.nft_lines(listing)
        if line.split(" > ")[0] not in ignored
        and not _is_chain_of(told, line)
        and not _is_about(line, ignored_chains)
    ]


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


def chains(back_end: str) -> set[str]:
    """Names of the chains of one back end."""
    family, _, mechanism = back_end.partition("-")
    if mechanism == "legacy":
        return {line[1:].split()[0] for line in saved(back_end).splitlines() if line[:1] == ":"}
    # Asked of nft, which tells them also where iptables cannot read what is in a table.
    listing = "\n".join(programs.lines("nft", "list", "chains", _NFT_FAMILIES[family]))
    parts = [line.split(" > ") for line in netfilter.nft_lines(listing)]
    return {p[1].removeprefix("chain ") for p in parts if len(p) > 1}


def target_chain(rule: str) -> str | None:
    """The chain that a rule jumps or goes to."""
    words = rule.split()
    for option in ("-j", "-g", "jump", "goto"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return None


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
    if not file.exists() or has_kube_proxys_device():
        return []
    lines = (line.split() for line in file.read_text().splitlines()[3:])
    return [" ".join(words[:3]) for words in lines if words and words[0] in ("TCP", "UDP", "FWM")]


def has_kube_proxys_device() -> bool:
    """Whether the node has the device on which kube-proxy keeps the addresses of Services."""
    return f"{KUBE_PROXYS_DEVICE}:" in Path("/proc/1/net/dev").read_text()


def _incompatible_tables() -> set[str]:
    """Tables in which somebody made by nft what iptables-nft cannot read, and so leaves out."""
    return {
        f"table {_NFT_FAMILIES[family]} {table}"
        for family in _NFT_FAMILIES
        for table in _INCOMPATIBLE.findall(saved(f"{family}-nft"))
    }


def _is_chain_of(tables: Collection[str], line: str) -> bool:
    """Whether it is one of these tables, or what stands in a chain of it; not a set in it."""
    table, *inside = line.split(" > ")
    return table in tables and (not inside or inside[0].startswith("chain "))


def _is_about(line: str, patterns: Sequence[str]) -> bool:
    """Whether a chain or rule belongs to chains of these names."""
    _, _, rest = line.partition(" > ")
    words = rest.split()
    own = words[1] if len(words) > 1 else None
    return matches(own, patterns) or matches(target_chain(rest), patterns)
