"""Ways from the machine's 127.0.0.1 into a cluster: to its API server, and to Services of it."""

import sys
from pathlib import Path

from lab import processes
from lab.layout import Cluster, Lab
from steps.lib.targets.namespaces import netns


def forwarder(lab: Lab, cluster: Cluster, port: int, address: str, remote_port: int) -> list[str]:
    """The command that passes a port of this machine on to an address of a cluster."""
    program = Path(__file__).with_name("forwarder.py")
    place = netns.path(lab.namespaces[cluster.name])
    return [sys.executable, "-I", str(program), str(port), str(place), address, str(remote_port)]


def open_all(lab: Lab, cluster: Cluster) -> list[str]:
    """Open the doors that are shut; the names of their pieces.

    They start in the namespace of the control plane, whose way to Services is through a node.
    """
    opened = []
    for door in cluster.doors:
        piece = cluster.piece_of(door)
        if not processes.runs(lab, piece):
            port, address = lab.port + door.port_offset, cluster.address_of(door)
            command = forwarder(lab, cluster, port, address, door.service_port)
            processes.launch(lab, piece, command, None)
            opened.append(piece)
    return opened
