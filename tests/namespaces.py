"""Real targets for the tests of the embedded target, each under a name of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from steps.lib import tools
from steps.lib.models import PATHS, PathName, TargetSpec
from steps.lib.reading import Ends
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.protocol import Endpoint, EndpointRequest

PORT = 30521
CONTROL_PORT = 30522


def target_named(name: str, underlay_mtu: int = 1500) -> NamespacesTarget:
    """A target that is not there yet."""
    spec = TargetSpec(kind="namespaces", name=name, underlay_mtu=underlay_mtu)
    return NamespacesTarget(spec, tools.toolbox())


@contextmanager
def prepared(name: str, underlay_mtu: int = 1500) -> Iterator[NamespacesTarget]:
    """A target that is up, and gone afterwards."""
    target = target_named(name, underlay_mtu)
    target.prepare()
    try:
        yield target
    finally:
        target.save_state(None)
        target.discard()


@contextmanager
def ends_of(target: NamespacesTarget, name: PathName) -> Iterator[Ends]:
    """Both ends of a path."""
    path = PATHS[name]
    with ExitStack() as stack:
        place = path.server or path.client
        ports = (PORT, CONTROL_PORT) if path.published else ()
        request = EndpointRequest("server", place.kind, place.node_index, ports)
        server = client = stack.enter_context(target.endpoint(request))
        if path.server is not None:
            request = EndpointRequest("client", path.client.kind, path.client.node_index)
            client = stack.enter_context(target.endpoint(request))
        addresses = {"loopback": "127.0.0.1", "pod": server.address, "node": server.node.address}
        yield Ends(client, server, addresses[path.address])


def pod(name: str, node_index: int, *ports: int) -> EndpointRequest:
    """A request for a pod."""
    return EndpointRequest(name, "pod", node_index, ports)


def send(target: NamespacesTarget, ends: Ends, *options: str) -> int:
    """Send by iperf3; the bytes that the server says it received."""
    server = target.start(ends.server, ["iperf3", "-s", "-1", "-p", str(PORT)], "server")
    target.wait_listening(ends.server, PORT, "tcp", 5)
    command = ["iperf3", "-c", ends.address, "-p", str(PORT), "-J", *options]
    client = target.start(ends.client, command, "client")
    document = json.loads(client.stdout.read())
    assert client.stop(5) == (0, b""), document.get("error")
    assert server.stop(5)[0] == 0
    return int(document["end"]["sum_received"]["bytes"])


def pings(target: NamespacesTarget, client: Endpoint, address: str, *options: str) -> bool:
    """Whether an address answers."""
    command = ["ping", "-4", "-n", "-q", "-c", "1", "-W", "1", *options, address]
    return target.start(client, command, "probe").stop(5)[0] == 0


def machine_network() -> dict[str, Any]:
    """The machine's own links, addresses, routes, rules and packet filter."""
    commands = {
        "links": "ip -j link",
        "addresses": "ip -j address",
        "routes": "ip -j route show table all",
        "rules": "ip -j rule",
        "nft": "nft --stateless list ruleset",
        "forwarding": "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/tcp_rmem",
    }
    run = subprocess.check_output
    found: dict[str, Any] = {k: run(c.split(), text=True) for k, c in commands.items()}
    for address in (addresses := json.loads(found["addresses"])):
        for info in address["addr_info"]:
            info.pop("preferred_life_time", None)
            info.pop("valid_life_time", None)
    return found | {"addresses": addresses}
