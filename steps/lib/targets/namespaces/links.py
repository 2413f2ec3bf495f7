"""Links, addresses and routes of one network namespace, over one netlink socket.

The only module that knows pyroute2. Its socket is made when ``IPRoute`` is, in the namespace of the
calling thread, and stays there: requests may be sent from anywhere later. (Passing ``netns=`` to
pyroute2 instead would fork a helper process for each socket.)
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from socket import AF_BRIDGE, AF_INET
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns

NUD_PERMANENT = 0x80
_IFF_UP = 1
_ABSENT = (errno.ENODEV, errno.ESRCH, errno.ENOENT)


@dataclass(frozen=True)
class Link:
    """One network device. ``peer`` is the index of a veth's other end, in that end's namespace."""

    index: int
    name: str
    kind: str
    mtu: int
    up: bool
    master: int | None
    peer: int | None
    details: dict[str, Any]


class KernelRefusalError(CnibenchError):
    """The kernel did not take a netlink request; ``code`` is its errno."""

    def __init__(self, request: str, error: NetlinkError) -> None:
        super().__init__(f"{request}: {error.args[1]}")
        self.code: int = error.code


class Netlink:
    """What we ask of a network namespace."""

    def __init__(self, route: IPRoute) -> None:
        self._route = route

    # ---------- links
    def links(self) -> list[Link]:
        """All devices."""
        return [_link(message) for message in self._route.get_links()]

    def find(self, name: str) -> Link | None:
        """A device by name, or None."""
        return next((link for link in self.links() if link.name == name), None)

    def link(self, name: str) -> Link:
        """A device that must be there.

        Raises:
            CnibenchError: it is not.
        """
        found = self.find(name)
        if found is None:
            raise CnibenchError(f"network device {name} does not exist")
        return found

    def add_link(self, name: str, kind: str, **attributes: Any) -> None:
        """Create a device, down."""
        with _explained(f"create {kind} device {name}"):
            self._route.link("add", ifname=name, kind=kind, **attributes)

    def set_link(self, name: str, **attributes: Any) -> None:
        """Change a device: ``state``, ``mtu``, ``master``."""
        with _explained(f"change device {name}"):
            self._route.link("set", index=self.link(name).index, **attributes)

    def delete_link(self, name: str) -> None:
        """Remove a device; absent is fine."""
        found = self.find(name)
        if found is not None:
            with _explained(f"delete device {name}"), _absent_is_fine():
                self._route.link("del", index=found.index)

    # ---------- addresses, routes, neighbours
    def add_address(self, device: str, address: str, prefix_length: int) -> None:
        """Give a device an address."""
        with _explained(f"add address {address}/{prefix_length} to {device}"):
            index = self.link(device).index
            self._route.addr("add", index=index, address=address, prefixlen=prefix_length)

    def add_route(self, destination: str, gateway: str, device: str, *, onlink: bool) -> None:
        """Add a route by a gateway; ``onlink`` where the gateway is in no subnet of the device."""
        with _explained(f"add route {destination} via {gateway} dev {device}"):
            self._route.route(
                "add",
                dst=destination,
                gateway=gateway,
                oif=self.link(device).index,
                flags=["onlink"] if onlink else [],
            )

    def delete_route(self, destination: str) -> None:
        """Remove a route of the main table; absent is fine."""
        with _explained(f"delete route {destination}"), _absent_is_fine():
            self._route.route("del", dst=destination)

    def add_neighbour(self, device: str, address: str, mac: str) -> None:
        """Say which MAC an address has, so that nobody has to ask."""
        with _explained(f"add neighbour {address} to {device}"):
            index = self.link(device).index
            self._route.neigh("add", dst=address, lladdr=mac, ifindex=index, state="permanent")

    def add_forwarding(self, device: str, mac: str, remote: str) -> None:
        """Say behind which remote tunnel end a MAC is."""
        with _explained(f"add forwarding entry {mac} to {device}"):
            self._route.fdb("add", ifindex=self.link(device).index, lladdr=mac, dst=remote)

    # ---------- dumps, as lines that hold nothing volatile
    def addresses(self) -> list[str]:
        """Every IPv4 and IPv6 address, ``<device> <address>/<length>``."""
        names = self._names()
        return [
            f"{names[m['index']]} {m.get_attr('IFA_ADDRESS')}/{m['prefixlen']}"
            for m in self._route.get_addr()
        ]

    def routes(self) -> list[str]:
        """Every route of every table."""
        names = self._names()
        return [
            _words(
                table=m.get_attr("RTA_TABLE"),
                to=f"{m.get_attr('RTA_DST') or 'default'}/{m['dst_len']}",
                via=m.get_attr("RTA_GATEWAY"),
                dev=names.get(m.get_attr("RTA_OIF")),
                source=m.get_attr("RTA_PREFSRC"),
                metric=m.get_attr("RTA_PRIORITY"),
                type=m["type"],
            )
            for m in self._route.get_routes()
            if not m["flags"] & 0x200  # RTM_F_CLONED: cached, comes and goes
        ]

    def rules(self) -> list[str]:
        """Every policy routing rule."""
        return [
            _words(
                family=m["family"],
                priority=m.get_attr("FRA_PRIORITY"),
                source=m.get_attr("FRA_SRC"),
                to=m.get_attr("FRA_DST"),
                mark=m.get_attr("FRA_FWMARK"),
                table=m.get_attr("FRA_TABLE"),
            )
            for m in self._route.get_rules()
        ]

    def static_neighbours(self) -> list[str]:
        """Neighbour and forwarding entries that somebody set; learnt ones come and go.

        So do groups that a device listens to, by what is up on it (IPv6 has one for all nodes).
        """
        names = self._names()
        messages = [
            *self._route.get_neighbours(family=AF_INET),
            *self._route.get_neighbours(family=AF_BRIDGE),
        ]
        return [
            _words(
                dev=names.get(m["ifindex"]),
                address=m.get_attr("NDA_DST"),
                mac=m.get_attr("NDA_LLADDR"),
                family=m["family"],
            )
            for m in messages
            if m["state"] & NUD_PERMANENT and not _is_group(m.get_attr("NDA_LLADDR"))
        ]

    def queue_disciplines(self) -> list[str]:
        """Queue disciplines other than the default of a virtual device, which is none."""
        names = self._names()
        return [
            f"{names.get(m['index'])} {m.get_attr('TCA_KIND')} parent {m['parent']:x}"
            for m in self._route.get_qdiscs()
            if m.get_attr("TCA_KIND") != "noqueue"
        ]

    def _names(self) -> dict[int, str]:
        return {link.index: link.name for link in self.links()}


@contextmanager
def netlink(namespace: str | None) -> Iterator[Netlink]:
    """Open a socket in a named namespace, or in the one where the calling thread is."""
    with netns.inside(namespace) if namespace is not None else nullcontext():
        route = IPRoute()
    try:
        yield Netlink(route)
    finally:
        route.close()


def _link(message: Any) -> Link:
    information = message.get_attr("IFLA_LINKINFO")
    kind = information.get_attr("IFLA_INFO_KIND") if information else None
    data = information.get_attr("IFLA_INFO_DATA") if information else None
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=kind or "",
        mtu=message.get_attr("IFLA_MTU"),
        up=bool(message["flags"] & _IFF_UP),
        master=message.get_attr("IFLA_MASTER"),
        peer=message.get_attr("IFLA_LINK") if kind == "veth" else None,
        details=dict(data["attrs"]) if data else {},
    )


def _is_group(mac: str | None) -> bool:
    return mac is not None and bool(int(mac.partition(":")[0], 16) & 1)


def _words(**words: object) -> str:
    return " ".join(f"{name} {value}" for name, value in words.items() if value is not None)


@contextmanager
def _explained(request: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise KernelRefusalError(request, error) from error


@contextmanager
def _absent_is_fine() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in _ABSENT:
            raise
