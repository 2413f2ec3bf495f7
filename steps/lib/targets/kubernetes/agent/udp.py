"""UDP ports on which the kernel itself listens: those of tunnels."""

import re
from pathlib import Path

from steps.lib.targets.kubernetes.agent import places

_BOUND = "07"
_ANY_ADDRESS = ("00000000", "0" * 32)
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def kernel_sockets() -> list[str]:
    """Ports of sockets that no process holds; a tunnel that stays would block the next one."""
    held = _held_by_processes()
    return [f"udp port {port}" for port, inode in _bound() if inode not in held]


def _bound() -> list[tuple[int, int]]:
    """Port and inode of each socket that takes what comes to any address of the node."""
    found = []
    for table in ("udp", "udp6"):
        file = Path("/proc/1/net", table)
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == _BOUND and address in _ANY_ADDRESS:
                found.append((int(port, 16), int(fields[9])))
    return found


def _held_by_processes() -> set[int]:
    found: set[int] = set()
    for pid in places.all_processes():
        try:
            links = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # It ended.
        found.update(int(match[1]) for link in links if (match := _SOCKET.match(link)))
    return found
