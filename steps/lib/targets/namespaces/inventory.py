"""What there is on a node, for the residue check: equal before an install and after a removal.

Nothing volatile is in it: no counters, no indexes, no learnt entries, no numbers of processes.
"""

import shutil
from pathlib import Path

from steps.lib.targets import netfilter
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.layout import Layout
from steps.lib.targets.namespaces.links import Link, netlink
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.protocol import Inventory, Node

SETTINGS = ("net/ipv4/conf/all/*", "net/ipv4/conf/default/*", "net/ipv4/ip_forward", "net/bridge/*")
"""Settings that plugins are known to change for the whole namespace (`rp_filter`, forwarding)."""


def take(layout: Layout, node: Node) -> Inventory:
    """List everything on a node that a plugin could leave behind."""
    namespace = layout.namespace(node.name)
    with netlink(namespace) as own:
        found = {
            "links": _links(own.links()),
            "addresses": own.addresses(),
            "routes": own.routes(),
            "rules": own.rules(),
            "neighbours": own.static_neighbours(),
            "qdiscs": own.queue_disciplines(),
        }
    found["nftables"] = _nftables(namespace)
    found["iptables-legacy"] = _iptables_legacy(namespace)
    found["settings"] = _settings(namespace)
    found["processes"] = _processes(namespace)
    found["files"] = _files(layout.work / node.name)
    return {kind: frozenset(lines) for kind, lines in found.items()}


def _links(links: list[Link]) -> list[str]:
    names = {link.index: link.name for link in links}
    return [
        f"{link.name} {link.kind} mtu {link.mtu} up {link.up} master {names.get(link.master or 0)}"
        for link in links
    ]


def _nftables(namespace: str) -> list[str]:
    """Tables, chains, sets and rules, each with what it stands in; iptables-nft is among them."""
    if shutil.which("nft") is None:
        return []
    listing = output(["nft", "--stateless", "list", "ruleset"], namespace=namespace)
    return netfilter.nft_lines(listing)


def _iptables_legacy(namespace: str) -> list[str]:
    """Rules of the older mechanism, which nft does not see, where any table of it was ever used."""
    with netns.inside(namespace):
        used = Path("/proc/thread-self/net/ip_tables_names")
        tables = used.read_text().split() if used.exists() else []
    if not tables or shutil.which("iptables-legacy-save") is None:
        return tables
    saved = output(["iptables-legacy-save"], namespace=namespace)
    return [line.split(" [")[0] for line in saved.splitlines() if not line.startswith("#")]


def _settings(namespace: str) -> list[str]:
    with netns.inside(namespace):
        root = Path("/proc/sys")
        files = sorted(file for pattern in SETTINGS for file in root.glob(pattern))
        return [f"{file.relative_to(root)} = {file.read_text().strip()}" for file in files]


def _processes(namespace: str) -> list[str]:
    lines = []
    for pid in netns.processes([namespace]):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        lines.append(command.replace(b"\0", b" ").decode("utf-8", "replace").strip())
    return lines


def _files(directory: Path) -> list[str]:
    return [str(p.relative_to(directory)) for p in directory.rglob("*") if not p.is_dir()]
