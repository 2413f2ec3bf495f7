"""Taking away devices, and programs of devices."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import bpf, programs
from steps.lib.targets.kubernetes.agent.found import Found
from steps.lib.targets.kubernetes.agent.links import default_devices, details, kind_of
from steps.lib.targets.kubernetes.agent.patterns import matches, refuse_everything
from steps.lib.targets.kubernetes.agent.settings import read_setting

LOOPBACK = "lo"

_FALLBACKS = frozenset(
    ("tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6gre0", "ip6_vti0")
)


def links(patterns: Sequence[str]) -> Iterator[Found]:
    """Devices by patterns of their names; never one that the node needs itself."""
    refuse_everything(patterns)
    needed = {LOOPBACK, *default_devices()} if patterns else set()
    for link in _matching(patterns):
        name = link["ifname"]
        if name in needed:
            raise RefusedError(f"{name} is the node's own way to others and stays")
        if not kind_of(link):
            raise RefusedError(f"{name} is no virtual device and stays")
        if _came_with_module(name):
            continue
        if not any(other["ifname"] == name for other in details()):
            continue  # It went with another one, as the other end of a pair does.
        deletion = ("ip", "link", "delete", "dev", name)
        yield Found(f"link {name}", partial(programs.attempt, *deletion))


def programs_of_devices(patterns: Sequence[str]) -> Iterator[Found]:
    """Programs that traffic control, tcx and XDP run on devices; the devices stay."""
    refuse_everything(patterns)
    for link in _matching(patterns):
        yield from _hooks(link["ifname"])
        for direction, kind in bpf.TCX.items():
            for attached in bpf.on_device(link["ifindex"], kind):
                what = f"tcx {link['ifname']} {direction} {bpf.program_name(attached[0])}"
                yield Found(what, partial(bpf.detach_from_device, link["ifindex"], kind, *attached))
        for mode in _xdp_modes(link):
            change = ("ip", "link", "set", "dev", link["ifname"], mode, "off")
            yield Found(f"xdp {link['ifname']}", partial(programs.attempt, *change))


def _came_with_module(name: str) -> bool:
    """Whether it is a device that a module makes by itself: it stays as long as the module does.

    ``ip link delete`` then does nothing and says nothing of it (``ip_tunnel_dellink`` in the
    kernel). Where the setting forbids such devices, one of that name is somebody's own.
    """
    return name in _FALLBACKS and read_setting("net.core.fb_tunnels_only_for_init_net") != "2"


def _hooks(device: str) -> Iterator[Found]:
    listed = " ".join(programs.lines("tc", "qdisc", "show", "dev", device))
    for kind in ("clsact", "ingress"):
        if f"qdisc {kind} " in listed:
            deletion = ("tc", "qdisc", "delete", "dev", device, kind)
            yield Found(f"tc {device} {kind}", partial(programs.attempt, *deletion))


def _xdp_modes(link: dict[str, Any]) -> list[str]:
    """Ways of attaching that are in use: 1 by the driver, 2 generic, 3 by the card, 4 several."""
    attached = link.get("xdp")
    if not attached:
        return []
    modes = {1: ["xdpdrv"], 2: ["xdpgeneric"], 3: ["xdpoffload"]}
    return modes.get(attached.get("mode", 0), ["xdpdrv", "xdpgeneric"])


def _matching(patterns: Sequence[str]) -> list[dict[str, Any]]:
    return [link for link in details() if matches(link["ifname"], patterns)]
