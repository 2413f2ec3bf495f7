"""What the node is, and which of its devices has its address."""

import hashlib
import json
from pathlib import Path
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets import proc
from steps.lib.targets.kubernetes.agent import files, programs

TOOLBOX = Path("/cnibench-toolbox.json")
"""In the agent's image, which is that of the traffic tools: lists them with their versions."""


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
    }


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
