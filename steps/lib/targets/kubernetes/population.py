"""Services that nobody calls, with endpoints that are not there: what nodes have to program."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.models import AddressFamily, Scale
from steps.lib.targets.kubernetes import objects
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api
from steps.lib.targets.kubernetes.objects import FAMILIES, single_stack

LABELS = PART_OF | {"app.kubernetes.io/component": "population"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
COLLECTIONS = (
    f"/api/v1/namespaces/{NAMESPACE}/services",
    f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
)
FIRST_UNUSED: Mapping[AddressFamily, IPv4Address | IPv6Address] = {
    "ipv4": ip_address("198.18.0.0"),
    "ipv6": ip_address("2001:2::"),
}
"""RFC 2544 keeps 198.18.0.0/15 for benchmarks, RFC 5180 2001:2::/48: nobody is there."""

ADDRESSES = 1 << 17
"""Many endpoints share an address, as many may."""

PORT = 80
THREADS = 8


@contextmanager
def populated(api: Api, scale: Scale, family: AddressFamily) -> Iterator[None]:
    """Have so many Services and endpoints in the API server for the time of the block."""
    with afterwards(lambda: take_away(api), "the population was not deleted"):
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda body: objects.apply(api, body), bodies(scale, family)):
                pass
        yield


def take_away(api: Api) -> None:
    """Delete all of it, also what a killed process has left. Idempotent."""
    for collection in COLLECTIONS:
        query = {"labelSelector": SELECTOR}
        api.get(api.request, "DELETE", collection, None, "application/json", query)


def bodies(scale: Scale, family: AddressFamily) -> Iterator[dict[str, Any]]:
    """Each Service, and the EndpointSlice that belongs to it."""
    for number in range(scale.services):
        name = f"cnibench-population-{number}"
        spec = {"ports": [{"name": "p", "port": PORT}], **single_stack(family)}
        yield _body("v1", "Service", name, {}, spec=spec)
        first = number * scale.endpoints_each
        addresses = [
            str(FIRST_UNUSED[family] + each % ADDRESSES)
            for each in range(first, first + scale.endpoints_each)
        ]
        yield _body(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            name,
            {"kubernetes.io/service-name": name},
            addressType=FAMILIES[family],
            endpoints=[{"addresses": [address]} for address in addresses],
            ports=[{"name": "p", "port": PORT, "protocol": "TCP"}],
        )


def _body(
    version: str, kind: str, name: str, labels: dict[str, str], **fields: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS | labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
