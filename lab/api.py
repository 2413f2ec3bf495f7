"""Asking an API server of the lab, as its administrator, from this machine."""

import base64
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from lab.certificates import pki
from lab.layout import Cluster, Lab
from lab.programs import program
from steps.lib.errors import TransientError
from steps.lib.targets.namespaces.programs import output

REQUEST_TIMEOUT_S = 5.0
APPLY_TIMEOUT_S = 60.0

NO_PLUGIN = "cni plugin not initialized"
"""What a kubelet says while no CNI configuration is there."""

NO_NETWORK = "waits for a network plugin"

FINE = (("Available", "True"), ("Progressing", "True"))
"""Conditions of a Deployment that are as they should be."""


def complaint(lab: Lab, cluster: Cluster) -> str | None:
    """Why an API server is not ready, or None."""
    try:
        _get(lab, cluster, "/readyz")
    except TransientError as error:
        return str(error)
    return None


def node_states(lab: Lab, cluster: Cluster) -> dict[str, str]:
    """``Ready``, ``NO_NETWORK`` or why not, of each node that has registered.

    Raises:
        TransientError: the API server does not answer.
    """
    items = json.loads(_get(lab, cluster, "/api/v1/nodes"))["items"]
    return {node["metadata"]["name"]: _state(node) for node in items}


def deployment_complaint(lab: Lab, cluster: Cluster, namespace: str, name: str) -> str | None:
    """Why a Deployment is not available, or None."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    try:
        found = json.loads(_get(lab, cluster, path))
        if _is_available(found):
            return None
        conditions = found.get("status", {}).get("conditions", [])
        said = [c["message"] for c in conditions if (c["type"], c["status"]) not in FINE]
        said += _troubles(lab, cluster, namespace)
    except TransientError as error:
        return str(error)
    return f"{namespace}/{name}: {'; '.join(said) or 'its controller has not looked at it yet'}"


def secret(lab: Lab, cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    """The entries of a Secret.

    Raises:
        TransientError: it is not there, or the API server does not answer.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    entries = json.loads(_get(lab, cluster, path)).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in entries.items()}


def annotations(lab: Lab, cluster: Cluster, path: str) -> dict[str, dict[str, str]]:
    """Annotations of the objects of a list, by name; nothing else of them is asked for.

    Raises:
        TransientError: the API server does not answer.
    """
    form = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    items = json.loads(_get(lab, cluster, path, form))["items"] or []
    return {i["metadata"]["name"]: i["metadata"].get("annotations", {}) for i in items}


def kustomize(folder: Path) -> str:
    """The manifest that a kustomization's folder stands for."""
    return output([str(program("kubectl")), "kustomize", str(folder)])


def apply(lab: Lab, cluster: Cluster, text: str, namespace: str | None = None) -> None:
    """Apply a manifest, server-side. A namespace that is given is that of all that have one.

    Raises:
        TransientError: it was not taken.
    """
    command = [
        *(str(program("kubectl")), f"--kubeconfig={lab.kubeconfig}"),
        f"--context={lab.context(cluster)}",
        *([f"--namespace={namespace}"] if namespace else []),
        *("apply", "--server-side", "--force-conflicts", "--filename=-"),
    ]
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=APPLY_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"{cluster.name}: kubectl apply: {error}") from error
    if done.returncode != 0:
        raise TransientError(f"{cluster.name}: kubectl apply: {done.stderr.strip()[-500:]}")


def _is_available(deployment: Any) -> bool:
    """Whether it is as its latest change wants it; an older pod may still serve meanwhile."""
    status = deployment.get("status", {})
    conditions = [(c["type"], c["status"]) for c in status.get("conditions", [])]
    return (
        ("Available", "True") in conditions
        and status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("updatedReplicas") == status.get("replicas")
    )


def _troubles(lab: Lab, cluster: Cluster, namespace: str) -> list[str]:
    """Why containers of a namespace do not run, as their node says."""
    pods = json.loads(_get(lab, cluster, f"/api/v1/namespaces/{namespace}/pods"))["items"]
    return [
        f"{pod['metadata']['name']}: {why['reason']}: {why.get('message', '')}"
        for pod in pods
        for container in pod["status"].get("containerStatuses", [])
        for why in (container["state"].get(kind) for kind in ("waiting", "terminated"))
        if why
    ]


def _state(node: Any) -> str:
    if not node["spec"].get("podCIDR"):
        return "has no podCIDR yet"
    conditions = {c["type"]: c for c in node["status"].get("conditions", [])}
    ready = conditions.get("Ready", {"status": "Unknown", "message": "has not reported yet"})
    if ready["status"] == "True":
        return "Ready"
    if NO_PLUGIN in ready["message"]:
        return NO_NETWORK
    return f"not ready: {ready['message']}"


def _get(lab: Lab, cluster: Cluster, path: str, form: str = "application/json") -> bytes:
    folder = pki(lab, cluster)
    url = f"https://127.0.0.1:{lab.port_of(cluster)}{path}"
    request = urllib.request.Request(url, headers={"Accept": form})
    try:
        # A handler of its own: a proxy of the environment must not be asked.
        context = _context(folder)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=REQUEST_TIMEOUT_S) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode("utf-8", "replace").strip()
        raise TransientError(f"{url} answers {error.code}: {said[-300:]}") from None
    except (OSError, HTTPException) as error:
        raise TransientError(f"{url} does not answer: {error}") from error


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    return context
