"""``down``: end and remove a lab, from any state that a kill could have left."""

from pathlib import Path

from lab import certificates, network, node
from lab.groups import Groups
from lab.layout import Cluster, Host, Lab
from lab.lock import exclusively
from lab.progress import say
from steps.lib.errors import CnibenchError
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import run

REMOVE_TIMEOUT_S = 300.0


def down(lab: Lab) -> None:
    """End every process of the lab and remove all that it made.

    Commands that are at work on it, or wait to be, are ended too.

    Raises:
        CnibenchError: something cannot be ended or removed.
    """
    groups = Groups(lab.group)
    ended = len(groups.processes())
    with exclusively(lab.group, meanwhile=groups.end):
        groups.end()
        strangers = netns.processes(lab.namespaces.values())
        for name in lab.namespaces.values():
            netns.delete(name)
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
        groups.end(piece)
    for host in (Host(cluster.name, cluster.address), *cluster.nodes):
        network.unplug(lab, host)
    for host in cluster.nodes:
        _remove(node.disk_of(lab, host))
    for folder in (lab.disk / f"{cluster.name}-etcd", lab.folder(cluster)):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, but never what is mounted there."""
    command = ["rm", "--recursive", "--force", "--one-file-system", "--", str(folder)]
    result = run(command, timeout_s=REMOVE_TIMEOUT_S)
    if result.exit_code != 0:
        said = result.stderr.decode("utf-8", "replace").strip()[-500:]
        raise CnibenchError(f"{folder} cannot be removed: {said}")
