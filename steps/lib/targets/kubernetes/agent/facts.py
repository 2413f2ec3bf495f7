"""What the node is, and which of its devices has its address."""

import hashlib
import http.client
import json
from pathlib import Path
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets import proc
from steps.lib.targets.kubernetes.agent import files, programs

TOOLBOX = Path("/cnibench-toolbox.json")
"""In the agent's image, which is that of the traffic tools: lists them with their versions."""

KUBE_PROXY_METRICS = ("127.0.0.1", 10249)
"""Where it listens unless its configuration says else (``metricsBindAddress``)."""


def facts(address: str) -> dict[str, Any]:
    """Machine, distribution, tools, and the uplink: the device that has the node's address.

    Raises:
        RefusedError: none has it, or the image is none of ours.
    """
    if not TOOLBOX.exists():
        raise RefusedError(f"the agent's image has no {TOOLBOX}: it is no tool box of cnibench")
    link = _link_with(address)
    return proc.machine()._asdict() | {
        "distribution": _distribution(),
        "toolbox_digest": hashlib.sha256(TOOLBOX.read_bytes()).hexdigest(),
        "uplink": link["ifname"],
        "underlay_mtu_bytes": link["mtu"],
        "kube_proxy_mode": _kube_proxy_mode(),
    }


def _kube_proxy_mode() -> str | None:
    """As kube-proxy itself says beside its metrics; None if it does not, or there is none."""
    server = http.client.HTTPConnection(*KUBE_PROXY_METRICS, timeout=1)
    try:
        server.request("GET", "/proxyMode")
        answer = server.getresponse()
        said = answer.read(20).decode("ascii", "replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        server.close()
    return said if answer.status == http.client.OK and said.isalpha() else None


def _link_with(address: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = json.loads(programs.output("ip", "-json", "address", "show"))
    for link in listed:
        if any(info.get("local") == address for info in link.get("addr_info", ())):
            return link
    raise RefusedError(f"no device of the node has its address {address}")


def _distribution() -> str:
    """As the node calls itself, not the agent's image."""
    release = files.read_file("/etc/os-release") or files.read_file("/usr/lib/os-release")
    for line in (release or {}).get("text", "").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return str(value.strip('"'))
    return "unknown"
