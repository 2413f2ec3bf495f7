"""Making the ends of a cell: where its path has them, with addresses of the family it asks for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from steps.lib import beside
from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, Path, Placement, TcpStream, Traffic, UdpStream
from steps.lib.plan import pairs_of
from steps.lib.reading import LOOPBACKS, Ends
from steps.lib.targets.protocol import Endpoint, EndpointRequest, Target
from steps.lib.traffic.protocol import Tool


@contextmanager
def endpoints(target: Target, path: Path, tool: Tool, traffic: Traffic) -> Iterator[Ends]:
    """Fresh endpoints for one try: a new namespace copies settings when it is made."""
    ports = (*tool.ports, *beside.load_ports(traffic))
    groups = beside.load_groups(traffic)
    with _pair_of_ends(target, path, traffic.family, ports, groups) as ends:
        yield ends


@contextmanager
def more_pairs(target: Target, path: Path, traffic: Traffic) -> Iterator[list[beside.Companion]]:
    """The pairs of a cell beyond its first one."""
    with ExitStack() as stack:
        more = []
        for number in range(2, pairs_of(traffic) + 1):
            assert isinstance(traffic, TcpStream | UdpStream), "only streams have pairs"
            ports = (beside.pair_port(traffic, number),)
            pair = _pair_of_ends(target, path, traffic.family, ports, suffix=f"-{number}")
            more.append(beside.pair(traffic, number, stack.enter_context(pair)))
        yield more


@contextmanager
def _pair_of_ends(
    target: Target,
    path: Path,
    family: AddressFamily,
    ports: tuple[int, ...],
    groups: tuple[str, ...] = (),
    suffix: str = "",
) -> Iterator[Ends]:
    with ExitStack() as stack:

        def made(name: str, place: Placement, published: tuple[int, ...] = ()) -> Endpoint:
            request = EndpointRequest(
                name=f"{name}{suffix}",
                kind=place.kind,
                node_index=place.node_index,
                published_ports=published,
                groups=groups,
                headless=path.by_name,
                family=family,
            )
            return stack.enter_context(target.endpoint(request))

        server = made("server", path.server or path.client, ports if path.published else ())
        client = server if path.server is None else made("client", path.client)
        resolved = target.resolve(client, server) if path.by_name else None
        yield Ends(client, server, resolved or _address(path, server, family))


def by_path(ends: Ends, path: Path, family: AddressFamily) -> Ends:
    """The same two ends, the server dialled as on another path between such."""
    return Ends(ends.client, ends.server, _address(path, ends.server, family))


def _address(path: Path, server: Endpoint, family: AddressFamily) -> str:
    addresses = {
        "loopback": LOOPBACKS[family],
        "pod": server.address,
        "node": server.node.address,
        "service": server.service_address,
    }
    address = addresses[path.address]
    if address is None:
        raise RefusedError(f"{server.name} has no {path.address} address")
    return address
