"""Taking away devices, and programs of devices."""

from collections.abc import Iterator, Sequence
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import bpf, filters, programs
from steps.lib.targets.kubernetes.agent.links import default_devices, details, kind_of
from steps.lib.targets.kubernetes.agent.outcome import Outcome

LOOPBACK = "lo"


def links(patterns: Sequence[str]) -> Iterator[Outcome]:
    """Devices by patterns of their names; never one that the node needs itself."""
    _refuse_everything(patterns)
    needed = {LOOPBACK, *default_devices()} if patterns else set()
    for link in _matching(patterns):
        name = link["ifname"]
        if name in needed:
            raise RefusedError(f"{name} is the node's own way to others and stays")
        if not kind_of(link):
            raise RefusedError(f"{name} is no virtual device and stays")
        if not any(other["ifname"] == name for other in details()):
            continue  # It went with another one, as the other end of a pair does.
        problem = programs.attempt("ip", "link", "delete", "dev", name)
        yield Outcome(f"link {name}", problem)


def programs_of_devices(patterns: Sequence[str]) -> Iterator[Outcome]:
    """Programs that traffic control, tcx and XDP run on devices; the devices stay."""
    _refuse_everything(patterns)
    for link in _matching(patterns):
        yield from _hooks(link["ifname"])
        for direction, kind in bpf.TCX.items():
            for program in bpf.detach_from_device(link["ifindex"], kind):
                yield Outcome(f"tcx {link['ifname']} {direction} {program}")
        for mode in _xdp_modes(link):
            problem = programs.attempt("ip", "link", "set", "dev", link["ifname"], mode, "off")
            yield Outcome(f"xdp {link['ifname']}", problem)


def _hooks(device: str) -> Iterator[Outcome]:
    listed = " ".join(programs.lines("tc", "qdisc", "show", "dev", device))
    for kind in ("clsact", "ingress"):
        if f"qdisc {kind} " in listed:
            problem = programs.attempt("tc", "qdisc", "delete", "dev", device, kind)
            yield Outcome(f"tc {device} {kind}", problem)


def _xdp_modes(link: dict[str, Any]) -> list[str]:
    """Ways of attaching that are in use: 1 by the driver, 2 generic, 3 by the card, 4 several."""
    attached = link.get("xdp")
    if not attached:
        return []
    modes = {1: ["xdpdrv"], 2: ["xdpgeneric"], 3: ["xdpoffload"]}
    return modes.get(attached.get("mode", 0), ["xdpdrv", "xdpgeneric"])


def _matching(patterns: Sequence[str]) -> list[dict[str, Any]]:
    return [link for link in details() if filters.matches(link["ifname"], patterns)]


def _refuse_everything(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not pattern.strip("*?"):
            raise RefusedError(f"{pattern!r} matches every device; write whose")
