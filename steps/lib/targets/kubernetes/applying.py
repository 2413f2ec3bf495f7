"""Applying a plugin's objects to the API server, and deleting them so that nothing hangs."""

import logging
import time
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.models import ObjectPattern
from steps.lib.targets.kubernetes import objects
from steps.lib.targets.kubernetes.api import AnswerError, Api
from steps.lib.targets.kubernetes.objects import Object, Reference, read, reference

INSTALL_LABEL = "cnibench.io/install-id"
"""Tells our objects from those of whoever uses the cluster."""

AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
"""On an APIService that comes and goes with its CRD, and comes back when it is deleted."""

ESTABLISHED_TIMEOUT_S = 60.0
DELETED_TIMEOUT_S = 120.0
STRIPPED_AFTER_S = 30.0
"""Time that a plugin's controller is given to serve its own finalizers."""

POLL_S = 0.5

logger = logging.getLogger(__name__)


def refuse_foreign(api: Api, bodies: Iterable[Object]) -> None:
    """Refuse to take over what somebody else made: removing the plugin would delete it.

    Raises:
        RefusedError: an object exists and is not ours.
    """
    foreign = [str(reference(body)) for body in bodies if _is_foreign(api, reference(body))]
    if foreign:
        raise RefusedError(
            "the cluster has objects of this plugin that cnibench did not make: "
            f"{', '.join(foreign)}; remove that installation first, or use another cluster"
        )


def apply_all(api: Api, bodies: Sequence[Object], install_id: str) -> None:
    """Apply in the given order by server-side apply; CRDs are established before what uses them.

    Raises:
        RefusedError: the API server does not take an object, or a CRD is never established.
    """
    definitions = [body for body in bodies if body["kind"] == "CustomResourceDefinition"]
    for body in definitions:
        _apply(api, body, install_id)
    for body in definitions:
        _wait_established(api, body["metadata"]["name"])
    for body in bodies:
        if body not in definitions:
            _apply(api, body, install_id)


def delete_all(
    api: Api,
    references: Sequence[Reference],
    first: Sequence[ObjectPattern] = (),
    strip_finalizers: Sequence[str] = (),
) -> None:
    """Delete in reverse order of applying, and wait until everything is gone. Idempotent.

    Webhooks and aggregated APIs (``first``) go before all else, whoever made them, since they would
    refuse what follows once their pods are gone; then instances of our CRDs, while their controller
    still serves their finalizers; then the rest.

    Args:
        api: The cluster.
        references: What was applied, in that order.
        first: What is deleted before everything else.
        strip_finalizers: Patterns of finalizers that may be taken away from what does not go.

    Raises:
        RefusedError: something is still there when the time is over.
    """
    early = [found for pattern in first for found in _matching(api, pattern)]
    definitions = [r for r in references if r.kind == "CustomResourceDefinition"]
    instances = [i for d in definitions for i in _instances(api, d)]
    rest = [r for r in reversed(references) if r not in early and r not in definitions]
    for group in (early, instances, rest, definitions):
        for each in group:
            if _is_there(api, each):
                objects.delete(api, each)
        _wait_gone(api, group, strip_finalizers)


def _is_foreign(api: Api, wanted: Reference) -> bool:
    # A namespace is shared by nature; one that others made is not deleted either.
    return wanted.kind != "Namespace" and _is_not_ours(read(api, wanted))


def _is_not_ours(found: Object | None) -> bool:
    return found is not None and INSTALL_LABEL not in (found["metadata"].get("labels") or {})


def _apply(api: Api, body: Object, install_id: str) -> None:
    wanted = reference(body)
    if wanted.kind == "Namespace" and _is_not_ours(read(api, wanted)):
        return
    labels = {**(body["metadata"].get("labels") or {}), INSTALL_LABEL: install_id}
    try:
        objects.apply(api, {**body, "metadata": {**body["metadata"], "labels": labels}})
    except AnswerError as error:
        raise RefusedError(f"{wanted}: the API server refused it: {error}") from error


def _wait_established(api: Api, name: str) -> None:
    wanted = Reference(
        api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition", name=name
    )
    last = "it is not there"
    deadline = time.monotonic() + ESTABLISHED_TIMEOUT_S
    while time.monotonic() < deadline:
        conditions = _conditions(read(api, wanted))
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        last = "; ".join(f"{c['type']}={c['status']} {c.get('message', '')}" for c in conditions)
        time.sleep(POLL_S / 5)
    raise RefusedError(
        f"{wanted} was not established in {ESTABLISHED_TIMEOUT_S:.0f} s: {last or 'no condition'}"
    )


def _conditions(found: Object | None) -> list[dict[str, Any]]:
    return ((found or {}).get("status") or {}).get("conditions") or []


def _matching(api: Api, pattern: ObjectPattern) -> list[Reference]:
    found = _all_of(api, pattern.api_version, pattern.kind)
    return [r for r in found if fnmatchcase(r.name, pattern.name)]


def _instances(api: Api, definition: Reference) -> list[Reference]:
    """Every object of a CRD."""
    found = read(api, definition)
    if found is None:
        return []
    spec = found["spec"]
    version = next(v["name"] for v in spec["versions"] if v["storage"])
    return _all_of(api, f"{spec['group']}/{version}", spec["names"]["kind"])


def _all_of(api: Api, api_version: str, kind: str) -> list[Reference]:
    return [
        reference(item)
        for item in objects.list_all(api, api_version, kind)
        if AUTOMANAGED not in (item["metadata"].get("labels") or {})
    ]


def _wait_gone(api: Api, references: Sequence[Reference], strip_finalizers: Sequence[str]) -> None:
    waiting = list(references)
    deadline = time.monotonic() + DELETED_TIMEOUT_S
    stripped = False
    while True:
        waiting = [r for r in waiting if _is_there(api, r)]
        if not waiting:
            return
        left_s = deadline - time.monotonic()
        if left_s < 0:
            raise RefusedError(
                f"not deleted in {DELETED_TIMEOUT_S:.0f} s: "
                + "; ".join(f"{r} ({_why_not_gone(api, r)})" for r in waiting)
            )
        if DELETED_TIMEOUT_S - left_s > STRIPPED_AFTER_S and strip_finalizers and not stripped:
            stripped = True
            for each in waiting:
                _strip(api, each, strip_finalizers)
        time.sleep(POLL_S)


def _is_there(api: Api, wanted: Reference) -> bool:
    found = read(api, wanted)
    return found is not None and not (wanted.kind == "Namespace" and _is_not_ours(found))


def _why_not_gone(api: Api, wanted: Reference) -> str:
    found = read(api, wanted)
    if found is None:
        return "just gone"
    finalizers = found["metadata"].get("finalizers") or []
    said = [f"{c['type']}: {c['message']}" for c in _conditions(found) if c.get("message")]
    return "; ".join([f"finalizers {', '.join(finalizers) or 'none'}", *said])


def _strip(api: Api, wanted: Reference, patterns: Sequence[str]) -> None:
    """Take away the finalizers that the plugin's description allows, and say so."""
    found = read(api, wanted)
    finalizers = (found or {"metadata": {}})["metadata"].get("finalizers") or []
    kept = [f for f in finalizers if not any(fnmatchcase(f, p) for p in patterns)]
    if kept == finalizers:
        return
    logger.warning("%s: finalizers taken away: %s", wanted, sorted(set(finalizers) - set(kept)))
    try:
        objects.merge(api, wanted, {"metadata": {"finalizers": kept}})
    except CnibenchError as error:
        logger.warning("%s: its finalizers could not be changed: %s", wanted, error)
