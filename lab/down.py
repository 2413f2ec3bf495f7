"""``down``: end and remove a lab, from any state that a kill could have left."""

import subprocess
from pathlib import Path

from lab import certificates, network, node
from lab.groups import Groups
from lab.layout import Cluster, Host, Lab
from lab.lock import exclusively
from lab.progress import say
from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns

REMOVE_TIMEOUT_S = 300.0


def down(lab: Lab) -> None:
    """End every process of the lab, an ``up`` at work too, and remove all that it made.

    Raises:
        CnibenchError: something cannot be ended or removed.
    """
    groups = Groups(lab.group)
    ended = len(groups.processes())
    groups.kill()
    strangers = netns.processes(lab.namespaces.values())
    for name in lab.namespaces.values():
        netns.delete(name)
    groups.remove()
    for folder in (lab.disk, lab.run):
        _remove(folder)
    say(f"{lab.name} is down: {ended} processes ended")
    if strangers:
        say(f"processes of others still live in its network: {sorted(strangers)}")


def down_cluster(lab: Lab, cluster: Cluster) -> None:
    """End and remove one cluster; the switch and the client stay for the other one.

    Raises:
        CnibenchError: something cannot be ended or removed.
    """
    if not [other for other in lab.wanted() if other != cluster]:
        down(lab)
        return
    with exclusively(lab.group):
        discard(lab, cluster)
        certificates.write_kubeconfig(lab)
    say(f"{cluster.name} is down")


def discard(lab: Lab, cluster: Cluster) -> None:
    """End and remove all that is of one cluster; absent is fine.

    Raises:
        CnibenchError: something cannot be ended or removed.
    """
    groups = Groups(lab.group)
    for piece in cluster.pieces:
        groups.kill(piece)
        groups.remove(piece)
    for host in (Host(cluster.name, cluster.address), *cluster.nodes):
        network.unplug(lab, host)
    for host in cluster.nodes:
        _remove(node.disk_of(lab, host))
    for folder in (lab.disk / f"{cluster.name}-etcd", lab.folder(cluster)):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, but never what is mounted there."""
    command = ["rm", "--recursive", "--force", "--one-file-system", "--", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=REMOVE_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise CnibenchError(f"{folder} cannot be removed: {done.stderr.strip()[-500:]}")
