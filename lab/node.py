"""Nodes: their file system and configuration, starting them, and ending them as without power."""

import hashlib
import shutil
from pathlib import Path
from string import Template

from lab import certificates, images, machines, network, processes, programs
from lab.groups import Groups
from lab.layout import DATA, STORE_FOLDER, Cluster, Host, Lab, cluster_of
from steps.lib import tools
from steps.lib.errors import CnibenchError

CONTAINERD_TIMEOUT_S = 30.0
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
NETWORK_FILE = "etc/cni/net.d/10-lab.conflist"

KUBE_PROXY_MODE = "nftables"
KUBE_PROXY_MODE_FILE = "etc/kubernetes/kube-proxy.mode"
"""In the node's root file system: the mode that was asked for. It outlives the node's death."""


def start(lab: Lab, cluster: Cluster, host: Host) -> bool:
    """Start a node unless it runs; whether it was started.

    Its disk is kept if there is one: a node that died comes back with what was on it, as a machine
    does. Its network and what was in memory begin anew. A virtual machine's disk begins anew, too.
    """
    if pid(lab, host) is not None:
        return False
    stop(lab, host)
    disk = disk_of(lab, host)
    if lab.kind_of_nodes(cluster) == "vm":
        shutil.rmtree(disk, ignore_errors=True)
        _configure(lab, cluster, host, disk / "upper")
        machines.start(lab, host, disk)
        return True
    network.plug(lab, host, dual_stack=lab.is_dual_stack(cluster))
    for folder in ("root", "work", "kubelet", "upper"):
        (disk / folder).mkdir(parents=True, exist_ok=True)
    _lay_down_images(disk)
    _configure(lab, cluster, host, disk / "upper")
    environment = _environment(lab, cluster, host, disk)
    processes.launch(lab, host.name, _command(lab, host), lab.namespaces[host.name], environment)
    return True


def wait_containerd(lab: Lab, host: Host) -> None:
    """Wait until a started node's containerd answers; the node can be entered then.

    Raises:
        CnibenchError: the node ended.
        TransientError: it takes too long.
    """

    def complaint() -> str | None:
        init = init_pid(lab, host)
        there = init and Path(f"/proc/{init}/root/run/containerd/containerd.sock").exists()
        return None if there else "containerd has no socket yet"

    what = f"{host.name}: containerd up"
    processes.wait_until(lab, [host.name], complaint, what, CONTAINERD_TIMEOUT_S)


def stop(lab: Lab, host: Host) -> None:
    """End a node at once: its processes, pods, network and groups. Its disk stays."""
    Groups(lab.group).end(host.name)
    network.unplug(lab, host)


def pid(lab: Lab, host: Host) -> int | None:
    """Process of this machine that is a node, whatever kind of node; None when it does not run."""
    cluster, _ = cluster_of(host.name)
    is_machine = lab.kind_of_nodes(cluster) == "vm"
    return machines.pid(lab, host) if is_machine else init_pid(lab, host)


def init_pid(lab: Lab, host: Host) -> int | None:
    """Process of this machine that is process 1 of a node; None when the node does not run.

    A node that is just starting counts from when it has left the machine's root behind: before,
    whoever looks into its root would see and change the machine.
    """
    for each in Groups(lab.group).processes(host.name):
        try:
            status = Path(f"/proc/{each}/status").read_text()
            if Path(f"/proc/{each}/root").samefile("/"):
                continue
        except OSError:
            continue
        inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[2:]
        # A pod's process 1 has yet another namespace between.
        if inside == ["1"]:
            return each
    return None


def disk_of(lab: Lab, host: Host) -> Path:
    """Folder with all that a node stores; ``upper`` is its root file system's own part."""
    return lab.disk / host.name


def _lay_down_images(disk: Path) -> None:
    """Fill the folder of containerd when there is none; one that was half filled is made anew."""
    folder, fresh = disk / "containerd", disk / "containerd.new"
    if folder.is_dir():
        return
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    images.lay_down(fresh)
    fresh.rename(folder)


def _command(lab: Lab, host: Host) -> list[str]:
    """What becomes the node's process 1. It joins the inner group when the outer is its root."""
    inner = Groups(lab.group).create_inner(host.name)
    isolated = ("--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
    return [
        *("unshare", "--cgroup", "--"),
        *(*processes.JOIN_GROUPS, str(inner), "--"),
        *("unshare", *isolated, "--", str(DATA / "node-enter.sh")),
    ]


def _environment(lab: Lab, cluster: Cluster, host: Host, disk: Path) -> dict[str, str]:
    hierarchies = Groups(lab.group).hierarchies
    addresses = [host.address, *([host.address6] if lab.is_dual_stack(cluster) else [])]
    words = {
        "NODE_NAME": host.name,
        "NODE_ADDRESS": ",".join(addresses),
        "NODE_DISK": str(disk),
        "NODE_SYSTEM": str(tools.toolbox()),
        "NODE_PROGRAMS": " ".join(str(file) for file in programs.node_programs()),
        # Mount point below /sys/fs/cgroup and the options that mount it, for each hierarchy.
        "NODE_CGROUPS": " ".join(f"{each.name}={each.options}" for each in hierarchies),
    }
    if any(set(" ,:\\") & set(words[name]) for name in ("NODE_DISK", "NODE_SYSTEM")):
        raise CnibenchError(f"a path with blanks or signs cannot be mounted: {disk}")
    return words


def configure_kube_proxy(lab: Lab, cluster: Cluster, host: Host, root: Path) -> None:
    """Write its configuration into a node's file system, with the mode that is asked for there."""
    asked = root / KUBE_PROXY_MODE_FILE
    mode = asked.read_text() if asked.exists() else KUBE_PROXY_MODE
    values = {"node": host.name, "pod_cidr": lab.pod_cidrs(cluster), "mode": mode}
    _write(root / "etc/kubernetes/kube-proxy.yaml", _filled("kube-proxy.yaml", **values))


def _configure(lab: Lab, cluster: Cluster, host: Host, upper: Path) -> None:
    """Write everything into a node's file system that is the lab's own."""
    identity = hashlib.sha256(f"{lab.name} {host.name}".encode()).hexdigest()[:32]
    files = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": _hosts(cluster),
        "etc/resolv.conf": "# Nothing outside of the lab is reached.\n",
        "etc/machine-id": f"{identity}\n",
        "etc/containerd/config.toml": _filled("containerd.toml", pause_image=PAUSE_IMAGE),
        "etc/kubernetes/kubelet.yaml": _filled("kubelet.yaml", dns_address=cluster.dns_address),
    }
    for name, text in files.items():
        _write(upper / name, text)
    configure_kube_proxy(lab, cluster, host, upper)
    _write_secrets(lab, cluster, host, upper / "etc/kubernetes")
    for name in ("node-run.sh", "machine-run.sh"):
        _write(upper / "usr/local/lib/cnibench" / name, (DATA / name).read_text(), mode=0o755)
    _lay_down_plugins(upper / "opt/cni/bin")
    (upper / "etc/cni/net.d").mkdir(parents=True, exist_ok=True)
    if cluster.fixed_network:
        # Its only node is given the first part of the range.
        subnet = cluster.pod_cidr.replace("/16", "/24")
        _write(upper / NETWORK_FILE, _filled("bridge.conflist", pod_subnet=subnet))
    if cluster.doors:
        (upper / STORE_FOLDER).mkdir(parents=True, exist_ok=True)


def _write_secrets(lab: Lab, cluster: Cluster, host: Host, folder: Path) -> None:
    pki = certificates.pki(lab, cluster)
    files = {
        "ca.crt": (pki / "ca.crt").read_text(),
        "node.crt": (pki / f"{host.name}.crt").read_text(),
        "node.key": (pki / f"{host.name}.key").read_text(),
        "kubelet.kubeconfig": certificates.kubeconfig_of(lab, cluster, host.name),
        "kube-proxy.kubeconfig": certificates.kubeconfig_of(lab, cluster, "kube-proxy"),
    }
    for name, text in files.items():
        _write(folder / name, text, mode=0o600)


def _lay_down_plugins(folder: Path) -> None:
    """Copies, no links: what a network plugin writes over must not be the cache's."""
    if not folder.is_dir():
        fresh = folder.with_name("bin.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(tools.cni_plugins(), fresh)
        fresh.rename(folder)


def _hosts(cluster: Cluster) -> str:
    lines = ["127.0.0.1 localhost", *(f"{node.address} {node.name}" for node in cluster.nodes)]
    return "".join(f"{line}\n" for line in lines)


def _filled(name: str, **values: str) -> str:
    return Template((DATA / name).read_text()).substitute(values)


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(text)
