"""Asking an API server of the lab, as its administrator, from this machine."""

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

REQUEST_TIMEOUT_S = 5.0
APPLY_TIMEOUT_S = 60.0

NO_PLUGIN = "cni plugin not initialized"
"""What a kubelet says while no CNI configuration is there."""

NO_NETWORK = "waits for a network plugin"


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
        status = json.loads(_get(lab, cluster, path)).get("status", {})
    except TransientError as error:
        return str(error)
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    available = conditions.get("Available", {})
    if available.get("status") == "True":
        return None
    return str(available.get("message", "its controller has not looked at it yet"))


def apply(lab: Lab, cluster: Cluster, text: str) -> None:
    """Apply a manifest, server-side.

    Raises:
        TransientError: it was not taken.
    """
    command = [
        *(str(program("kubectl")), f"--kubeconfig={lab.kubeconfig}"),
        f"--context={lab.context(cluster)}",
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


def _get(lab: Lab, cluster: Cluster, path: str) -> bytes:
    folder = pki(lab, cluster)
    url = f"https://127.0.0.1:{lab.port_of(cluster)}{path}"
    try:
        # A handler of its own: a proxy of the environment must not be asked.
        context = _context(folder)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url, timeout=REQUEST_TIMEOUT_S) as response:
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
