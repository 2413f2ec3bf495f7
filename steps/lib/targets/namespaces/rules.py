"""Policies and Services as rules of nodes' packet filter, for plugins that say so.

As those do that program iptables: what belongs to a known connection passes at once, and each new
one is compared with rule after rule until one fits.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Network, ip_address

from steps.lib.errors import CnibenchError
from steps.lib.models import Policy, Scale
from steps.lib.targets.namespaces.programs import run

POLICY_TABLE = "cnibench_policy"
SERVICE_TABLE = "cnibench_services"

UNUSED = IPv4Network("198.18.0.0/15")
"""RFC 2544 keeps it for benchmarks: nobody has these addresses."""

FIRST_SERVICE = ip_address("10.96.0.1")
SERVICE_PORT = 80
LOAD_TIMEOUT_S = 120.0


def policy_rules(
    policy: Policy, server: str, client: str, ports: Sequence[int], pods: IPv4Network
) -> str:
    """What closes the server but for the client; by default denial all of the node's pods.

    ICMP passes: what a NetworkPolicy does to it is not defined, and a ping proves the path's MTU.
    """
    unused = "".join(
        f"ip saddr {UNUSED[number]} tcp dport @measured accept\n"
        for number in range(policy.rules - 1)
    )
    deny_all = f"ip daddr {pods} drop\n" if policy.kind == "default-deny" else ""
    return (
        f"table ip {POLICY_TABLE} {{\n"
        f"set measured {{ type inet_service; elements = {{ {', '.join(map(str, ports))} }} }}\n"
        f"chain server {{\n{unused}ip saddr {client} tcp dport @measured accept\ndrop\n}}\n"
        "chain forward {\ntype filter hook forward priority 0;\n"
        "ct state established,related accept\nmeta l4proto icmp accept\n"
        f"ip daddr {server} jump server\n{deny_all}}}\n}}\n"
    )


def service_rules(scale: Scale) -> str:
    """A rule a Service, which gives a new connection to one of its endpoints at random."""
    lines = (
        f"ip daddr {FIRST_SERVICE + number} tcp dport {SERVICE_PORT} {_to(scale, number)}\n"
        for number in range(scale.services)
    )
    return (
        f"table ip {SERVICE_TABLE} {{\nchain services {{\n"
        f"type nat hook prerouting priority -100;\n{''.join(lines)}}}\n}}\n"
    )


def _to(scale: Scale, number: int) -> str:
    each = scale.endpoints_each
    numbers = range(number * each, (number + 1) * each)
    addresses = [UNUSED[index % UNUSED.num_addresses] for index in numbers]
    if each == 1:
        return f"dnat to {addresses[0]}:{SERVICE_PORT}"
    chosen = ", ".join(f"{index} : {address}" for index, address in enumerate(addresses))
    return f"dnat to numgen random mod {each} map {{ {chosen} }}"


@contextmanager
def loaded(namespaces: Sequence[str], table: str, script: str) -> Iterator[None]:
    """Have a table in each namespace for the time of the block."""
    with ExitStack() as stack:
        for namespace in namespaces:
            stack.callback(_nft, namespace, f"add table ip {table}; delete table ip {table}")
            _nft(namespace, script)
        yield


def _nft(namespace: str, script: str) -> None:
    command = ["nft", "--file", "-"]
    result = run(command, namespace=namespace, stdin=script.encode(), timeout_s=LOAD_TIMEOUT_S)
    if result.exit_code:
        said = result.stderr.decode("utf-8", "replace").strip()[:300]
        raise CnibenchError(f"nft in {namespace} ended with {result.exit_code}: {said}")
