"""Objects of any kind, also of kinds that a plugin brings, as plain documents.

The client's own dynamic part looks kinds up without a time limit, and takes a group whose server
does not answer for one without kinds. A removal would then take for gone what is still there; so
here only the server's "not found" means that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from steps.lib.errors import RefusedError
from steps.lib.models import AddressFamily, Model
from steps.lib.targets.kubernetes.api import FIELD_MANAGER, Api

Object = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


FAMILIES: Mapping[AddressFamily, str] = {"ipv4": "IPv4", "ipv6": "IPv6"}
"""What Kubernetes calls them."""


class Reference(Model):
    """What names one object."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


def reference(body: Mapping[str, Any]) -> Reference:
    """The reference to an object of a manifest."""
    metadata = body["metadata"]
    return Reference(
        api_version=body["apiVersion"],
        kind=body["kind"],
        name=metadata["name"],
        namespace=metadata.get("namespace"),
    )


def single_stack(family: AddressFamily) -> Object:
    """Fields of a Service that has addresses of this family only, whatever the cluster prefers."""
    return {"ipFamilyPolicy": "SingleStack", "ipFamilies": [FAMILIES[family]]}


def read(api: Api, wanted: Reference) -> Object | None:
    """An object, or None if it is not there."""
    place = _place(api, wanted)
    return None if place is None else api.get(api.request, "GET", place)


def list_all(api: Api, api_version: str, kind: str) -> list[Object]:
    """Every object of a kind, in all namespaces; none where the server does not know the kind."""
    known = _kind(api, api_version, kind)
    found = known and api.get(api.request, "GET", known.collection)
    named = {"apiVersion": api_version, "kind": kind}
    return [{**item, **named} for item in (found or {}).get("items") or ()]


def apply(api: Api, body: Object) -> Object:
    """Server-side apply, ours whoever set its fields before.

    Raises:
        AnswerError: the API server does not take it.
        RefusedError: the API server does not know the kind.
    """
    wanted = reference(body)
    place = _place(api, wanted)
    if place is None:
        raise RefusedError(f"the API server does not know {wanted.api_version} {wanted.kind}")
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    applied: Object = api.call(api.request, "PATCH", place, body, APPLY, query)
    return applied


def merge(api: Api, wanted: Reference, change: Object) -> None:
    """Change some fields of an object that is there (RFC 7396)."""
    api.call(api.request, "PATCH", _place(api, wanted), change, MERGE)


def delete(api: Api, wanted: Reference) -> None:
    """Delete an object, and what depends on it before it. Idempotent; it may go later."""
    place = _place(api, wanted)
    if place is not None:
        api.get(api.request, "DELETE", place, {"propagationPolicy": "Foreground"})


@dataclass(frozen=True)
class _Kind:
    base: str
    """Path of its group and version."""
    plural: str
    namespaced: bool

    @property
    def collection(self) -> str:
        return f"{self.base}/{self.plural}"


def _kind(api: Api, api_version: str, kind: str) -> _Kind | None:
    """What the server says of a kind; None where it says that it has no such thing."""
    key = (api_version, kind)
    if key not in api.kinds:
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        listed = api.get(api.request, "GET", base) or {}
        for resource in listed.get("resources") or ():
            if resource["kind"] == kind and "/" not in resource["name"]:
                api.kinds[key] = _Kind(base, resource["name"], resource["namespaced"])
    found: _Kind | None = api.kinds.get(key)
    return found


def _place(api: Api, wanted: Reference) -> str | None:
    """Path of an object; one that says no namespace is in ``default``, as kubectl has it."""
    kind = _kind(api, wanted.api_version, wanted.kind)
    if kind is None:
        return None
    name = quote(wanted.name, safe="")
    if not kind.namespaced:
        return f"{kind.collection}/{name}"
    return f"{kind.base}/namespaces/{wanted.namespace or 'default'}/{kind.plural}/{name}"
