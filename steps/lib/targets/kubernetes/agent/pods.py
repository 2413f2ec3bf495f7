"""Pods on this node: their network, and the tool that a pod's launcher runs."""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import links, places, programs
from steps.lib.targets.namespaces import sockets

LAUNCH_TIMEOUT_S = 5.0
POLL_S = 0.005

PAIRED_KINDS = ("veth", "netkit")
"""Devices with another end; others tell the device that they are made on."""


def pod_network(container: str, address: str) -> dict[str, Any]:
    """The device of a pod that has its address, and that device's other end on the node."""
    shared = _identity(places.network(container)) == _identity(places.NODE_NETWORK)
    listed = programs.run(["ip", "-json", "-details", "address", "show"], container)
    for link in json.loads(listed["stdout"] or "[]"):
        if not any(info.get("local") == address for info in link.get("addr_info", ())):
            continue
        paired = links.kind_of(link) in PAIRED_KINDS
        pair = links.pair_of(link["link_index"]) if paired and not shared else None
        return {
            "device": link["ifname"],
            "mtu_bytes": min([link["mtu"], *_route_mtus(container, address)]),
            "device_mtu_bytes": link["mtu"],
            "pair": pair,
        }
    raise RefusedError(f"no device of the pod has its address {address}")


def _route_mtus(container: str, address: str) -> list[int]:
    """What the pod's default route allows, where a plugin sets the MTU there."""
    family = "-6" if ":" in address else "-4"
    told = programs.run(["ip", "-json", family, "route", "show", "default"], container)
    routes = json.loads(told["stdout"] or "[]")
    return [m["mtu"] for route in routes for m in route.get("metrics", ()) if "mtu" in m]


def launch(container: str, fifo: str, line: str) -> bool:
    """Give a launcher its one command line; False if it had got one before.

    The launcher notes in a file that it has read its line, so the call may be repeated.
    """
    place = Path(f"/proc/{places.main_process(container)}/root{fifo}")
    deadline = time.monotonic() + LAUNCH_TIMEOUT_S
    while time.monotonic() < deadline:
        if place.with_name(f"{place.name}.taken").exists():
            return False
        try:
            # Not blocking: nobody may read any more. What is written stays until it is read.
            writer = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            time.sleep(POLL_S)
            continue
        try:
            os.write(writer, f"{line}\n".encode())
        finally:
            os.close(writer)
        return True
    raise RefusedError(f"the pod's launcher takes no command after {LAUNCH_TIMEOUT_S:g} s")


def signal(container: str, number: int) -> bool:
    """Send a signal to the tool that a launcher runs; False if none is running."""
    try:
        tools = places.children(places.main_process(container))
    except RefusedError:
        return False
    sent = False
    for pid in tools:
        try:
            os.kill(pid, number)
            sent = True
        except ProcessLookupError:
            continue
    return sent


def is_running(container: str) -> bool:
    """Whether a process of the container is there."""
    return bool(places.processes_of(container))


def listening(
    port: int, protocol: str, container: str | None = None, owner: str | None = None
) -> bool:
    """Whether a socket of a pod, or of the node, listens on a port; nobody connects to it.

    With ``owner``, a container, only sockets of its processes count: on a node's network somebody
    else may have the port.
    """
    found = sockets.listeners(places.network(container), port, protocol)
    if owner is None or not found:
        return bool(found)
    links = {f"socket:[{inode}]" for inode in found}
    return any(not links.isdisjoint(_open_files(pid)) for pid in places.processes_of(owner))


def _open_files(pid: int) -> set[str]:
    try:
        return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()  # It ended, or a file was closed just now: it is looked at again soon.


def _identity(namespace: str) -> tuple[int, int]:
    status = Path(namespace).stat()
    return status.st_dev, status.st_ino
