"""What there is on the node, for the residue check: equal before an install and after a removal.

Sets of lines by kind. Nothing volatile is in it (counters, handles, indexes, learnt entries), and
nothing that the cluster's own programs change by themselves: kubelet, kube-proxy, the container
runtime. What a plugin leaves is found by its name. Kernel modules are not in it: what one of them
does shows as a device, a setting, a rule, a set; and the kernel loads many by itself.
"""

from typing import Any

from steps.lib.targets.kubernetes.agent import filters, links, things, udp

KUBERNETES_CHAINS = (
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-NODE-PORT",
    "KUBE-POSTROUTING",
    "KUBE-MARK-MASQ",
    "KUBE-MARK-DROP",
    "KUBE-FORWARD",
    "KUBE-FIREWALL",
    "KUBE-PROXY-FIREWALL",
    "KUBE-PROXY-CANARY",
    "KUBE-KUBELET-CANARY",
    "KUBE-IPTABLES-HINT",
    "KUBE-LOAD-BALANCER",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-*",
    "KUBE-SVC-*",
    "KUBE-SVL-*",
    "KUBE-SEP-*",
    "KUBE-EXT-*",
    "KUBE-FW-*",
    "KUBE-XLB-*",
)
"""Of kubelet and kube-proxy, which come and go with Services. Not every name in KUBE-: network
plugins use some of those too."""

KUBERNETES_NFT_TABLES = ("ip kube-proxy", "ip6 kube-proxy")


def inventory(
    uplink: str,
    ignored_chains: tuple[str, ...] = KUBERNETES_CHAINS,
    ignored_nft_tables: tuple[str, ...] = KUBERNETES_NFT_TABLES,
) -> dict[str, list[str]]:
    """List everything on the node that a plugin could leave behind."""
    found: dict[str, Any] = {
        "links": links.links(),
        "addresses": links.addresses(),
        "routes": links.routes(),
        "rules": links.rules(),
        "neighbours": links.static_neighbours(),
        "queues": links.queues(),
        "tc": links.tc_programs(),
        "offloads": links.offloads(uplink),
        "nft": filters.nft(ignored_nft_tables, ignored_chains),
        "iptables": filters.iptables(ignored_chains),
        "ipsets": filters.ipsets(),
        "ipvs": filters.virtual_servers(),
        "bpf": things.bpf_pins(),
        "cgroup-programs": things.cgroup_programs(),
        "files": things.files(),
        "folders": things.folders(),
        "settings": things.settings(),
        "udp": udp.kernel_sockets(),
    }
    return {kind: sorted(set(lines)) for kind, lines in found.items()}
