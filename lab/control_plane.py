"""Starting a control plane: etcd, API server, controllers, scheduler, and the way to it."""

from collections.abc import Callable
from pathlib import Path

from lab import api, certificates, doors, network, processes
from lab.layout import API_PORT, Cluster, Lab
from lab.programs import program

READY_TIMEOUT_S = 90.0
ETCD = "http://127.0.0.1:2379"

NODE_MONITOR = ("--node-monitor-period=2s", "--node-monitor-grace-period=20s")
"""A dead node is told sooner than by default (50 s); kubelets renew their lease accordingly."""


def start(lab: Lab, cluster: Cluster) -> list[str]:
    """Start what is missing up to the API server; the names of what was started.

    The cluster's certificates must be there.
    """
    network.plug_control_plane(lab, cluster)
    for user in ("controllers", "scheduler"):
        _write_secret(_kubeconfig(lab, cluster, user), lab, cluster, user)
    return _start(lab, cluster, {"etcd": _etcd, "apiserver": _apiserver, "gateway": _gateway})


def finish(lab: Lab, cluster: Cluster) -> list[str]:
    """Wait for the API server and start what needs it; the names of what was started."""
    pieces = [f"{cluster.name}-{part}" for part in ("apiserver", "etcd", "gateway")]
    processes.wait_until(
        lab, pieces, lambda: api.complaint(lab, cluster), f"{pieces[0]} ready", READY_TIMEOUT_S
    )
    return _start(lab, cluster, {"controllers": _controllers, "scheduler": _scheduler})


Command = Callable[[Lab, Cluster], list[str]]


def _start(lab: Lab, cluster: Cluster, commands: dict[str, Command]) -> list[str]:
    started = []
    for part, command in commands.items():
        piece = f"{cluster.name}-{part}"
        if not processes.runs(lab, piece):
            # The gateway listens outside and goes in by itself.
            inside = None if part == "gateway" else lab.namespaces[cluster.name]
            processes.launch(lab, piece, command(lab, cluster), inside)
            started.append(piece)
    return started


def _etcd(lab: Lab, cluster: Cluster) -> list[str]:
    data = lab.disk / f"{cluster.name}-etcd"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [
        str(program("etcd")),
        f"--data-dir={data}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
        "--unsafe-no-fsync",
    ]


def _apiserver(lab: Lab, cluster: Cluster) -> list[str]:
    pki = certificates.pki(lab, cluster)
    return [
        str(program("kube-apiserver")),
        f"--advertise-address={cluster.address}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers={ETCD}",
        f"--service-cluster-ip-range={lab.service_cidrs(cluster)}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={pki}/ca.crt",
        *_pair("tls-cert-file", "tls-private-key-file", pki / "apiserver"),
        *_pair("kubelet-client-certificate", "kubelet-client-key", pki / "apiserver-kubelet"),
        f"--kubelet-certificate-authority={pki}/ca.crt",
        # Else logs and exec try to resolve the node's name.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--service-account-key-file={pki}/service-accounts.pub",
        *_pair("proxy-client-cert-file", "proxy-client-key-file", pki / "front-proxy"),
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]


def _controllers(lab: Lab, cluster: Cluster) -> list[str]:
    pki = certificates.pki(lab, cluster)
    return [
        str(program("kube-controller-manager")),
        f"--kubeconfig={_kubeconfig(lab, cluster, 'controllers')}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        *_pair("cluster-signing-cert-file", "cluster-signing-key-file", pki / "ca"),
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={lab.pod_cidrs(cluster)}",
        f"--service-cluster-ip-range={lab.service_cidrs(cluster)}",
        *NODE_MONITOR,
    ]


def _scheduler(lab: Lab, cluster: Cluster) -> list[str]:
    return [
        str(program("kube-scheduler")),
        f"--kubeconfig={_kubeconfig(lab, cluster, 'scheduler')}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _gateway(lab: Lab, cluster: Cluster) -> list[str]:
    return doors.forwarder(lab, cluster, lab.port_of(cluster), cluster.address, API_PORT)


def _pair(certificate: str, key: str, stem: Path) -> tuple[str, str]:
    return f"--{certificate}={stem}.crt", f"--{key}={stem}.key"


def _kubeconfig(lab: Lab, cluster: Cluster, user: str) -> Path:
    return lab.folder(cluster) / f"{user}.kubeconfig"


def _write_secret(file: Path, lab: Lab, cluster: Cluster, user: str) -> None:
    file.touch(mode=0o600)
    file.write_text(certificates.kubeconfig_of(lab, cluster, user))
