"""Certificates of one cluster, made by openssl, all in one folder; and kubeconfigs from them."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.layout import API_PORT, Cluster, Host, Lab
from steps.lib.targets.namespaces.programs import output

DAYS = "365"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """What one certificate says. ``hosts`` makes it one for servers."""

    name: str
    subject: str
    authority: str = "ca"
    hosts: tuple[str, ...] = ()


def make(lab: Lab, cluster: Cluster) -> None:
    """Make the certificates of a cluster, all or none; those that are there stay.

    Certificates that changed under a running cluster would lock everybody out of it.
    """
    folder = pki(lab, cluster)
    if folder.is_dir():
        return
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    for name in ("ca", "front-proxy-ca"):
        _self_signed(fresh, name)
    for certificate in _certificates(cluster):
        _signed(fresh, certificate)
    # Service accounts have a pair of keys and no certificate.
    keys = str(fresh / "service-accounts.key"), str(fresh / "service-accounts.pub")
    output(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", keys[0]])
    output(["openssl", "ec", "-in", keys[0], "-pubout", "-out", keys[1]])
    fresh.rename(folder)


def pki(lab: Lab, cluster: Cluster) -> Path:
    """Folder of a cluster's certificates."""
    return lab.folder(cluster) / "pki"


def kubeconfig_of(lab: Lab, cluster: Cluster, user: str) -> str:
    """Kubeconfig of one of the cluster's own parts, which reaches the API by the underlay."""
    return _document([_inside(lab, cluster, user, cluster.name)])


def kubeconfig_inside(lab: Lab, cluster: Cluster, context: str) -> str:
    """The administrator's kubeconfig with one context, for pods of another cluster."""
    return _document([_inside(lab, cluster, "admin", context)])


def write_kubeconfig(lab: Lab) -> None:
    """Write the lab's kubeconfig: an administrator's, one context for each wanted cluster."""
    entries = [
        _entry(lab, cluster, "admin", f"https://127.0.0.1:{lab.port_of(cluster)}", context)
        for cluster in lab.wanted()
        if (context := lab.context(cluster)) and pki(lab, cluster).is_dir()
    ]
    fresh = lab.kubeconfig.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(_document(entries))
    fresh.rename(lab.kubeconfig)


def _certificates(cluster: Cluster) -> list[Certificate]:
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    addresses = (cluster.address, cluster.api_service_address, "127.0.0.1")
    return [
        Certificate("apiserver", "/CN=kube-apiserver", hosts=(*names, *addresses)),
        Certificate("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        Certificate("front-proxy", "/CN=front-proxy-client", authority="front-proxy-ca"),
        Certificate("admin", "/O=system:masters/CN=admin"),
        Certificate("controllers", "/CN=system:kube-controller-manager"),
        Certificate("scheduler", "/CN=system:kube-scheduler"),
        Certificate("kube-proxy", "/CN=system:kube-proxy"),
        *(_of_node(node) for node in cluster.nodes),
    ]


def _of_node(node: Host) -> Certificate:
    """One for both sides: what a node serves, and as whom it speaks to the API."""
    subject = f"/O=system:nodes/CN=system:node:{node.name}"
    return Certificate(node.name, subject, hosts=(node.name, node.address))


def _self_signed(folder: Path, name: str) -> None:
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    usage = ("-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign")
    output(["openssl", "req", "-x509", *KEY, *files, "-subj", f"/CN={name}", "-days", DAYS, *usage])


def _signed(folder: Path, certificate: Certificate) -> None:
    name, authority = certificate.name, str(folder / certificate.authority)
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage=clientAuth{',serverAuth' if certificate.hosts else ''}",
    ]
    if certificate.hosts:
        kinds = ("IP" if host[0].isdigit() else "DNS" for host in certificate.hosts)
        hosts = ",".join(f"{k}:{h}" for k, h in zip(kinds, certificate.hosts, strict=True))
        extensions.append(f"subjectAltName={hosts}")
    signer = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key")
    added = [word for extension in extensions for word in ("-addext", extension)]
    subject = ("-subj", certificate.subject, "-days", DAYS)
    output(["openssl", "req", "-x509", *KEY, *files, *subject, *signer, *added])


def _inside(lab: Lab, cluster: Cluster, user: str, context: str) -> dict[str, object]:
    return _entry(lab, cluster, user, f"https://{cluster.address}:{API_PORT}", context)


def _entry(lab: Lab, cluster: Cluster, user: str, server: str, context: str) -> dict[str, object]:
    folder = pki(lab, cluster)

    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    keys = {
        "client-certificate-data": data(f"{user}.crt"),
        "client-key-data": data(f"{user}.key"),
    }
    return {
        "name": context,
        "user": keys,
        "cluster": {"server": server, "certificate-authority-data": data("ca.crt")},
        "context": {"cluster": context, "user": context},
    }


def _document(entries: list[dict[str, object]]) -> str:
    """A kubeconfig as JSON, which is YAML too."""
    lists = {
        f"{kind}s": [{"name": entry["name"], kind: entry[kind]} for entry in entries]
        for kind in ("cluster", "user", "context")
    }
    current = entries[0]["name"] if entries else ""
    head = {"apiVersion": "v1", "kind": "Config", "current-context": current}
    return json.dumps(head | lists, indent=1)
