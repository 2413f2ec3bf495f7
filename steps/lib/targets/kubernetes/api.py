"""The API server: one context of the kubeconfig, and every request with a limit and retries.

Requests go through ``Api.call``, which gives them a time limit, tries again while the server cannot
be reached (it may be restarted in the middle of a campaign), and turns what only a person can
change into an error that says so. Whatever else the server answers is the caller's to understand.
"""

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import urllib3
import websocket
import yaml
from kubernetes import config
from kubernetes.client import (
    ApiClient,
    Configuration,
    CoordinationV1Api,
    CoreV1Api,
    DiscoveryV1Api,
)
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from steps.lib import ending, pod
from steps.lib.errors import InputError, OwnershipError, RefusedError, TransientError

if TYPE_CHECKING:
    from kubernetes.client import AppsV1Api

NAMESPACE = "cnibench"
"""Everything of ours on the target is in this namespace."""

PART_OF = {"app.kubernetes.io/part-of": "cnibench"}

NAMESPACE_LABELS = PART_OF | {
    "app.kubernetes.io/component": "target",
    "pod-security.kubernetes.io/enforce": "privileged",
}
FIELD_MANAGER = "cnibench"

CLASS_LABEL = "cnibench.io/environment-class"
EMULATED = "emulated"
"""On nodes that are virtual machines of one machine, run in software perhaps: nothing is fast."""

EMULATION_FACTOR = 6.0

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
RETRY_FOR_S = 30.0
RETRY_AT_END_FOR_S = 2.0
"""For a process that was told to end: long enough for a connection that broke."""

GONE_TIMEOUT_S = 60.0
ACCOUNT_TIMEOUT_S = 30.0
RETRY_INTERVAL_S = 0.25
RETRY_INTERVAL_MAX_S = 2.0

ADVICE = (
    "`kubectl config get-contexts` lists the contexts of the file that KUBECONFIG names (else "
    "~/.kube/config)"
)
POD_ADVICE = "the kubeconfig is the entry `kubeconfig` of the Secret target-<name of the target>"

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_AGAIN = (0, 429, 500, 502, 503, 504)
"""Statuses of a server that starts, ends or is overloaded; the client gives 0 for TLS errors."""

_UNREACHABLE = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class AnswerError(RefusedError):
    """The API server answered, and refused; ``status`` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def connect(context: str) -> "Api":
    """Attach to the cluster of a context; the server is not asked anything yet.

    Raises:
        InputError: the kubeconfig cannot be read, or has no such context.
    """
    configuration = Configuration()
    load: Callable[..., None] = config.load_kube_config  # It carries no types.
    # The client takes KUBECONFIG as it was when the client was imported.
    file = os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        load(
            config_file=file,
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, OSError, yaml.YAMLError) as error:
        advice = POD_ADVICE if pod.is_one() else ADVICE
        raise InputError(f"target.context {context!r} cannot be used: {error}; {advice}") from error
    # Trying again is done here, where the time is limited; urllib3 would do it in silence.
    configuration.retries = False
    configuration.keep_alive = True
    # Exec streams are WebSockets, which have no limit of their own for connecting and sending.
    websocket.setdefaulttimeout(READ_TIMEOUT_S)
    return Api(context, configuration)


class Api:
    """One cluster's API server. May be used by several threads."""

    def __init__(self, context: str, configuration: Configuration) -> None:
        self.context = context
        self._configuration = configuration
        self.kinds: dict[tuple[str, str], Any] = {}
        """What ``objects`` has learnt of this server."""
        self._revoked: str | None = None

    @cached_property
    def client(self) -> ApiClient:
        """The client that all requests share, but for exec streams."""
        return self.separate_client()

    def separate_client(self) -> ApiClient:
        """A client of one's own: opening an exec stream replaces methods of the client used."""
        return ApiClient(self._configuration)

    @cached_property
    def patience(self) -> float:
        """By how much longer than usual one waits for what nodes do."""
        slow = self.call(self.core.list_node, label_selector=f"{CLASS_LABEL}={EMULATED}").items
        return EMULATION_FACTOR if slow else 1.0

    @cached_property
    def core(self) -> CoreV1Api:
        """Pods, Services, nodes, ConfigMaps."""
        return CoreV1Api(self.client)

    @cached_property
    def apps(self) -> "AppsV1Api":
        """DaemonSets and Deployments."""
        # Its many classes are needed by few: importing them takes a tenth of a second.
        from kubernetes.client import AppsV1Api

        return AppsV1Api(self.client)

    @cached_property
    def discovery(self) -> DiscoveryV1Api:
        """EndpointSlices."""
        return DiscoveryV1Api(self.client)

    @cached_property
    def coordination(self) -> CoordinationV1Api:
        """Leases."""
        return CoordinationV1Api(self.client)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        *,
        _request_timeout: Any = None,
    ) -> Any:
        """One request for a document, for ``call``: of kinds that the client has no class for."""
        request = self.client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self.client.call_api(*request, _request_timeout=_request_timeout)
        response.read()  # type: ignore[no-untyped-call]
        return self.client.response_deserialize(response, {"2XX": "object"}).data

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of the client with a time limit, again while the server is not there.

        A request that got no answer may have been carried out: the caller of a function that
        creates something has to expect "already exists".

        Raises:
            OwnershipError: the target was taken by somebody else; see ``revoke``.
            InputError: the server does not accept who we are, or does not allow this.
            TransientError: no usable answer within ``RETRY_FOR_S``; see ``ending``.
            AnswerError: any other refusal of the server.
        """
        options.setdefault("_request_timeout", (CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        begun = time.monotonic()
        interval_s = RETRY_INTERVAL_S
        while True:
            self.require_ownership()
            try:
                return function(*arguments, **options)
            except ApiException as error:
                if error.status in (_UNAUTHENTICATED, _FORBIDDEN) and not _is_ending(error):
                    raise InputError(self._not_allowed(error)) from error
                if error.status not in _AGAIN:
                    raise AnswerError(explain(error), error.status) from error
                problem: Exception = error
            except _UNREACHABLE as error:
                problem = error
            limit_s = RETRY_AT_END_FOR_S if ending.is_told() else RETRY_FOR_S
            if time.monotonic() + interval_s > begun + limit_s:
                raise TransientError(
                    f"the API server of context {self.context} gave no answer in "
                    f"{time.monotonic() - begun:.0f} s: {explain(problem)}"
                ) from problem
            time.sleep(interval_s)
            interval_s = min(2 * interval_s, RETRY_INTERVAL_MAX_S)

    def revoke(self, reason: str) -> None:
        """Refuse every further request: what is on the target is not ours any more."""
        self._revoked = reason

    def require_ownership(self) -> None:
        """Raise OwnershipError once the target was taken by somebody else."""
        if self._revoked is not None:
            raise OwnershipError(self._revoked)

    def get(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any | None:
        """As ``call``, but None if what it is about does not exist."""
        try:
            return self.call(function, *arguments, **options)
        except AnswerError as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def ensure_namespace(self) -> None:
        """Make the namespace of everything of ours, ready for pods. Idempotent.

        Raises:
            InputError: somebody else has made a namespace of this name.
            TransientError: the controller manager gives it no service account.
        """
        body = {"metadata": {"name": NAMESPACE, "labels": NAMESPACE_LABELS}}
        if self._namespace() is None:
            try:
                self.call(self.core.create_namespace, body)
            except AnswerError as error:
                if error.status != http.client.CONFLICT:
                    raise
        # Pods are refused before it is there, and it is made by somebody else, a moment later.
        deadline = time.monotonic() + ACCOUNT_TIMEOUT_S
        account = ("default", NAMESPACE)
        while self.get(self.core.read_namespaced_service_account, *account) is None:
            if time.monotonic() > deadline:
                raise TransientError(
                    f"namespace {NAMESPACE} has no service account after {ACCOUNT_TIMEOUT_S:g} s: "
                    "does the controller manager run?"
                )
            time.sleep(RETRY_INTERVAL_S)

    def delete_namespace(self) -> None:
        """Delete the namespace of everything of ours, and wait until it is gone. Idempotent.

        Raises:
            TransientError: it is not gone in time; what keeps it is in the message.
        """
        if self._namespace() is None:
            return
        self.get(self.core.delete_namespace, NAMESPACE)
        deadline = time.monotonic() + GONE_TIMEOUT_S
        while (found := self.get(self.core.read_namespace, NAMESPACE)) is not None:
            if time.monotonic() > deadline:
                said = "; ".join(c.message for c in found.status.conditions or [])
                raise TransientError(f"namespace {NAMESPACE} is not gone: {said}")
            time.sleep(RETRY_INTERVAL_S)

    def _namespace(self) -> Any | None:
        """Ours, if it is there; what is in somebody else's would be deleted with it."""
        found = self.get(self.core.read_namespace, NAMESPACE)
        if found is None:
            return None
        if not (found.metadata.labels or {}).items() >= NAMESPACE_LABELS.items():
            raise InputError(
                f"the cluster of context {self.context} has a namespace {NAMESPACE} that cnibench "
                "did not make, and everything in it would be deleted at a campaign's end; delete "
                "it, or use a cluster without it"
            )
        return found

    def _not_allowed(self, error: ApiException) -> str:
        what = "does not know the user" if error.status == _UNAUTHENTICATED else "refused"
        return (
            f"the API server of context {self.context} {what}: {explain(error)}; use a kubeconfig "
            "with the rights of a cluster administrator: nodes and their network are changed"
        )


def _is_ending(error: ApiException) -> bool:
    """Whether it is refused only since its namespace is being deleted: no question of rights."""
    return "NamespaceTerminating" in str(error.body)


def explain(error: BaseException) -> str:
    """What a failed request means, in one line."""
    if not isinstance(error, ApiException):
        return " ".join(str(error).split()) or type(error).__name__
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    try:
        message = json.loads(body or "")["message"]
    except (ValueError, KeyError, TypeError):
        message = body or error.reason
    return " ".join(f"{error.status}: {message}".split())[:500]
