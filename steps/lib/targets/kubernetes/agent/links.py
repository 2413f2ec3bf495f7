"""Devices of the node and what hangs on them, as lines that hold nothing volatile."""

import json
from collections.abc import Iterator
from typing import Any

from steps.lib.targets.kubernetes.agent import bpf, programs

FAMILIES = ("-4", "-6")
_ROUTE_WORDS = ("type", "dst", "gateway", "via", "dev", "prefsrc", "src", "metric", "table")
_RULE_WORDS = ("src", "srclen", "dst", "dstlen", "fwmark", "iif", "oif", "table", "action")
_TC_PLACES = ("root", "ingress", "egress")
_PLAIN_QUEUES = ("noqueue", "clsact", "ingress")
"""``clsact`` and ``ingress`` are told by their programs, and by ``tc`` if they have none."""


def links() -> list[str]:
    """Devices with kind, MTU and master. Up or down, names of peers and so on may come and go."""
    return [
        f"{link['ifname']} {kind_of(link) or 'physical'} mtu {link['mtu']} "
        f"master {link.get('master')}{_xdp(link)}"
        for link in details()
    ]


def kind_of(link: dict[str, Any]) -> str:
    """Kind of a virtual device; nothing for a physical one and for the loopback."""
    return str(link.get("linkinfo", {}).get("info_kind", ""))


def details() -> list[dict[str, Any]]:
    """All devices as ``ip`` tells them."""
    return _json("ip", "-json", "-details", "link", "show")


def addresses() -> list[str]:
    """Every address, ``<device> <address>/<length>``, but for those of devices by themselves."""
    return [
        f"{link['ifname']} {info['local']}/{info['prefixlen']}"
        for link in _json("ip", "-json", "address", "show")
        for info in link.get("addr_info", ())
        if "local" in info and not (info["family"] == "inet6" and info["scope"] == "link")
    ]


def routes() -> list[str]:
    """Every route of every table, but for those that come and go by themselves."""
    return [
        f"{_words(route, _ROUTE_WORDS)} proto {route.get('protocol', 'boot')}{_hops(route)}"
        for family in FAMILIES
        for route in _json("ip", "-json", family, "route", "show", "table", "all")
        if not _is_automatic(route)
    ]


def rules() -> list[str]:
    """Every policy routing rule."""
    return [
        f"{family} {rule['priority']}: {_words(rule, _RULE_WORDS)}"
        for family in FAMILIES
        for rule in _json("ip", "-json", family, "rule", "show")
    ]


def static_neighbours() -> list[str]:
    """Entries that somebody set; learnt ones come and go."""
    return [
        f"{entry['dev']} {entry['dst']} {entry.get('lladdr')}"
        for entry in _json("ip", "-json", "neighbour", "show", "nud", "permanent")
    ]


def queues() -> list[str]:
    """Queue disciplines other than the default of a virtual device, which is none."""
    return [
        f"{queue.get('dev')} {queue['kind']} {'root' if queue.get('root') else queue.get('parent')}"
        for queue in _json("tc", "-json", "qdisc", "show")
        if queue["kind"] not in _PLAIN_QUEUES
    ]


def tc_programs() -> list[str]:
    """Filters of traffic control by their names, tcx programs, and places made for them."""
    with_hooks = {
        queue["dev"]
        for queue in _json("tc", "-json", "qdisc", "show")
        if queue["kind"] in ("clsact", "ingress")
    }
    lines = [f"{device} clsact" for device in with_hooks]
    for link in details():
        lines += _filters(link["ifname"])
        for direction, kind in bpf.TCX.items():
            lines += [
                f"{link['ifname']} tcx {direction} {bpf.program_name(program)}"
                for program, _ in bpf.on_device(link["ifindex"], kind)
            ]
    return lines


def offloads(device: str) -> list[str]:
    """What the network card does by itself; plugins are known to switch some of it off."""
    listed = programs.lines("ethtool", "--show-features", device)[1:]
    return [f"{device} {line.strip()}" for line in listed]


def pair_of(index: int) -> str | None:
    """Name of the node's device whose index a pod's device tells as its other end."""
    return next((link["ifname"] for link in details() if link["ifindex"] == index), None)


def default_devices() -> set[str]:
    """Devices that the node reaches the rest of the world by."""
    return {
        route["dev"]
        for family in FAMILIES
        for route in _json("ip", "-json", family, "route", "show", "default")
        if "dev" in route
    }


def _filters(device: str) -> Iterator[str]:
    for place in _TC_PLACES:
        where = () if place == "root" else (place,)
        text = "\n".join(programs.lines("tc", "-json", "filter", "show", "dev", device, *where))
        for entry in json.loads(text or "[]"):
            options = entry.get("options", {})
            if options:  # Each filter is told twice, once without anything.
                name = options.get("bpf_name") or options.get("fh") or options.get("handle") or ""
                yield f"{device} {place} {entry['protocol']} {entry['pref']} {entry['kind']} {name}"


def _xdp(link: dict[str, Any]) -> str:
    program = link.get("xdp")
    return f" xdp {program.get('prog', {}).get('tag', 'attached')}" if program else ""


def _is_automatic(route: dict[str, Any]) -> bool:
    """Whether it is the kernel's own record of an address, cached, or announced by a router."""
    of_address = route.get("protocol") == "kernel" and route.get("table") == "local"
    own_link = str(route.get("dst", "")).startswith(("fe80:", "ff00:"))
    return of_address or own_link or "expires" in route or "cache" in route


def _hops(route: dict[str, Any]) -> str:
    hops = [f"{h.get('gateway', '')} dev {h.get('dev')}" for h in route.get("nexthops", ())]
    return "".join(f" nexthop {hop}" for hop in hops)


def _words(entry: dict[str, Any], names: tuple[str, ...]) -> str:
    return " ".join(f"{name} {entry[name]}" for name in names if name in entry)


def _json(*command: str) -> list[dict[str, Any]]:
    text = programs.output(*command).strip()
    found: list[dict[str, Any]] = json.loads(text) if text else []
    return [entry for entry in found if entry]
