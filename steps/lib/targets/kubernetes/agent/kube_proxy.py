"""Whether kube-proxy works on the node, told by what it leaves in the kernel in each of its modes.

Its pod says less: a cluster may run it as a part of another program, as k3s does.
"""

from steps.lib.targets.kubernetes.agent import filters, programs
from steps.lib.targets.kubernetes.agent.inventory import KUBERNETES_NFT_TABLES

CHAIN = "KUBE-SERVICES"


def kube_proxy() -> list[str]:
    """Its chains in every back end of iptables, its tables of nftables, its device of IPVS.

    Not IPVS's virtual servers: network plugins make such too, and only kube-proxy has the device.
    """
    found = [f"{b} chain {CHAIN}" for b in filters.BACK_ENDS if CHAIN in filters.chains(b)]
    listed = programs.lines("nft", "list", "tables")
    found += [f"nft table {t}" for t in KUBERNETES_NFT_TABLES if f"table {t}" in listed]
    if filters.has_kube_proxys_device():
        found.append(f"link {filters.KUBE_PROXYS_DEVICE}")
    return found
