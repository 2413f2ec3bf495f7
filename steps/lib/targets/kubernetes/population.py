"""Services that nobody calls, with endpoints that are not there: what nodes have to program."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from steps.lib.afterwards import afterwards
from steps.lib.models import Scale
from steps.lib.targets.kubernetes import objects
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api

LABELS = PART_OF | {"app.kubernetes.io/component": "population"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
COLLECTIONS = (
    f"/api/v1/namespaces/{NAMESPACE}/services",
    f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
)
FIRST_UNUSED = ip_address("198.18.0.0")
ADDRESSES = 1 << 17
"""RFC 2544 keeps 198.18.0.0/15 for benchmarks. Many endpoints share an address, as many may."""

PORT = 80
THREADS = 8


@contextmanager
def populated(api: Api, scale: Scale) -> Iterator[None]:
    """Have so many Services and endpoints in the API server for the time of the block."""
    with afterwards(lambda: take_away(api), "the population was not deleted"):
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda body: objects.apply(api, body), bodies(scale)):
                pass
        yield


def take_away(api: Api) -> None:
    """Delete all of it, also what a killed process has left. Idempotent."""
    for collection in COLLECTIONS:
        query = {"labelSelector": SELECTOR}
        api.get(api.request, "DELETE", collection, None, "application/json", query)


def bodies(scale: Scale) -> Iterator[dict[str, Any]]:
    """Each Service, and the EndpointSlice that belongs to it."""
    for number in range(scale.services):
        name = f"cnibench-population-{number}"
        yield _body("v1", "Service", name, {}, spec={"ports": [{"name": "p", "port": PORT}]})
        first = number * scale.endpoints_each
        addresses = [
            str(FIRST_UNUSED + each % ADDRESSES)
            for each in range(first, first + scale.endpoints_each)
        ]
        yield _body(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            name,
            {"kubernetes.io/service-name": name},
            addressType="IPv4",
            endpoints=[{"addresses": [address]} for address in addresses],
            ports=[{"name": "p", "port": PORT, "protocol": "TCP"}],
        )


def _body(
    version: str, kind: str, name: str, labels: dict[str, str], **fields: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS | labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
