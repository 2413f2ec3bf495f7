"""What has to outlive every process: documents in ConfigMaps, and a lease that keeps others out."""

import base64
import http.client
import logging
import os
import socket
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubernetes import client

from steps.lib.afterwards import afterwards
from steps.lib.errors import CnibenchError, OwnershipError
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, AnswerError, Api

LABELS = PART_OF | {"app.kubernetes.io/component": "memory"}

LEASE = "cnibench"
WORKFLOW = "workflow"
"""First word of a workflow's identity; that of a process is its machine's name."""

LEASE_S = 60
WORKFLOW_LEASE_S = 600
"""Between two pods of a workflow nobody renews; the next one may wait for its node or its image."""

RENEW_S = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Memory:
    """Documents by name. Compressed: an inventory is long, and a ConfigMap holds at most 1 MiB."""

    api: Api

    def load(self, name: str) -> str | None:
        """The document, or None if there is none."""
        found = self.api.get(self.api.core.read_namespaced_config_map, name, NAMESPACE)
        if found is None:
            return None
        return zlib.decompress(base64.b64decode(found.binary_data["document"])).decode()

    def save(self, name: str, document: str) -> None:
        """Write or replace the document."""
        body = client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name=name, labels=LABELS),
            binary_data={
                "document": base64.b64encode(zlib.compress(document.encode())).decode("ascii")
            },
        )
        replace = self.api.core.replace_namespaced_config_map
        if self.api.get(replace, name, NAMESPACE, body) is not None:
            return
        try:
            self.api.call(self.api.core.create_namespaced_config_map, NAMESPACE, body)
        except AnswerError as error:
            if error.status != http.client.CONFLICT:
                raise
            # We made it: the answer to the request was lost, and it was sent again.
            self.api.call(replace, name, NAMESPACE, body)

    def delete(self, name: str) -> None:
        """Forget the document. Idempotent."""
        self.api.get(self.api.core.delete_namespaced_config_map, name, NAMESPACE)

    def names(self) -> list[str]:
        """Names of all documents."""
        selector = ",".join(f"{name}={value}" for name, value in LABELS.items())
        core = self.api.core
        found = self.api.get(core.list_namespaced_config_map, NAMESPACE, label_selector=selector)
        return [item.metadata.name for item in (found.items if found else ())]


def is_held(api: Api) -> bool:
    """Whether a campaign holds the target now."""
    present = _read(api)
    return present is not None and _is_in_force(present)


@dataclass(frozen=True)
class Holder:
    """Who holds the lease, and for how long without renewing it."""

    identity: str
    duration_s: int

    @classmethod
    def this_process(cls) -> "Holder":
        """This process: it is over with it."""
        return cls(f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}", LEASE_S)

    @classmethod
    def workflow(cls, name: str) -> "Holder":
        """A workflow: each of its pods takes the lease over from the one before."""
        return cls(f"{WORKFLOW}/{name}", WORKFLOW_LEASE_S)


@contextmanager
def lease(
    api: Api, target: str, holder: Holder, stays: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold the target against every other campaign, from wherever it is run.

    A lease of the API server that is renewed by a thread (Kubernetes, coordination.k8s.io/v1). Who
    was killed holds it for ``LEASE_S`` seconds more. Who could not renew it in time, a laptop that
    slept, and finds it taken, may not do anything on the target any more: ``Api.revoke``.

    Args:
        api: The target's.
        target: Its name, for errors.
        holder: Who holds it.
        stays: Asked at the end: whether the holder goes on holding it, with nobody renewing.

    Raises:
        OwnershipError: somebody else holds it.
    """
    _acquire(api, target, holder)
    stop = threading.Event()
    renewer = threading.Thread(target=_renew, args=(api, holder, stop), daemon=True)
    renewer.start()

    def leave() -> None:
        stop.set()
        renewer.join()
        if not stays():
            _let_go(api, holder.identity)

    with afterwards(leave, "the lease stays until it ends by itself"):
        yield


def _acquire(api: Api, target: str, holder: Holder) -> None:
    present = _read(api)
    if present is not None and _keeps_out(present, holder):
        raise OwnershipError(
            f"target {target} is measuring already (the lease is held by "
            f"{present.spec.holder_identity}, renewed at {present.spec.renew_time:%H:%M:%S} "
            f"UTC for {present.spec.lease_duration_seconds} s); wait for it"
        )
    body = _lease(holder, present.metadata.resource_version if present else None)
    try:
        if present is None:
            api.call(api.coordination.create_namespaced_lease, NAMESPACE, body)
        else:
            api.call(api.coordination.replace_namespaced_lease, LEASE, NAMESPACE, body)
    except AnswerError as error:
        if error.status != http.client.CONFLICT:
            raise
        # The resource version, or the name, is taken: by somebody who was faster, or by ourselves,
        # when an answer was lost and the request was sent again.
        present = _read(api)
        if present is None or present.spec.holder_identity != holder.identity:
            raise OwnershipError(f"target {target} was taken by somebody else just now") from error


def _read(api: Api) -> Any | None:
    """The lease, whoever holds it; None if nobody does."""
    return api.get(api.coordination.read_namespaced_lease, LEASE, NAMESPACE)


def _let_go(api: Api, holder: str) -> None:
    """Delete the lease, in the version in which it was seen to be ours."""
    present = _read(api)
    if present is None or present.spec.holder_identity != holder:
        return
    condition = client.V1Preconditions(resource_version=present.metadata.resource_version)
    body = client.V1DeleteOptions(preconditions=condition)
    api.get(api.coordination.delete_namespaced_lease, LEASE, NAMESPACE, body=body)


def _keeps_out(present: Any, holder: Holder) -> bool:
    return present.spec.holder_identity != holder.identity and _is_in_force(present)


def _is_in_force(present: Any) -> bool:
    expires = present.spec.renew_time + timedelta(seconds=present.spec.lease_duration_seconds)
    return expires > datetime.now(UTC) and not _has_died(present.spec.holder_identity)


def _has_died(holder: str) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    host, pid, *_ = holder.split("/")
    return host != WORKFLOW and host == socket.gethostname() and not Path("/proc", pid).exists()


def _lease(holder: Holder, resource_version: str | None) -> client.V1Lease:
    return client.V1Lease(
        metadata=client.V1ObjectMeta(name=LEASE, labels=PART_OF, resource_version=resource_version),
        spec=client.V1LeaseSpec(
            holder_identity=holder.identity,
            lease_duration_seconds=holder.duration_s,
            renew_time=datetime.now(UTC),
        ),
    )


def _renew(api: Api, holder: Holder, stop: threading.Event) -> None:
    """Keep the lease until told to stop; one renewal that fails is tried again."""
    while not stop.wait(RENEW_S):
        try:
            present = _read(api)
            if present is None:
                return  # Our namespace was taken down with all in it, as at a campaign's end.
            if present.spec.holder_identity != holder.identity:
                api.revoke(
                    "the target was taken by another campaign "
                    f"({present.spec.holder_identity}) while this one could not renew its lease"
                )
                return
            # Only the version that was seen to be ours.
            body = _lease(holder, present.metadata.resource_version)
            api.call(api.coordination.patch_namespaced_lease, LEASE, NAMESPACE, body)
        except CnibenchError as error:
            logger.warning("the lease could not be renewed: %s", error)
