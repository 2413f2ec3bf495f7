"""Whatever a plugin leaves on a node is found by its name, and removed where that is declared."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.agent_bpf import bpf
from tests.agent_nodes import AgentNode, agent_node

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


@dataclass(frozen=True)
class Left:
    """Something that is left behind: what makes it, how it is named, what takes it away."""

    script: str
    kind: str
    line: str
    actions: dict[str, list[str]]
    removed: str
    also: tuple[str, ...] = field(default=())
    """Kinds in which it may be seen as well."""


ON_DEVICES = ("links", "addresses", "routes", "queues")
LEFT = {
    "bridge": Left(
        "ip link add brx type bridge",
        *("links", "brx bridge mtu 1500 master None"),
        *({"links": ["brx"]}, "link brx"),
    ),
    "tunnel": Left(
        "ip link add tunnelx type vxlan id 7 dstport 8472 dev eth0; ip link set tunnelx up",
        *("udp", "udp port 8472"),
        *({"links": ["tunnel*"]}, "link tunnelx"),
        also=ON_DEVICES,
    ),
    "pair": Left(
        "ip link add calix1 type veth peer calix2",
        *("links", "calix1 veth mtu 1500 master None"),
        *({"links": ["calix*"]}, "link calix2"),
    ),
    "address": Left(
        "ip address add 192.0.2.77/32 dev lo",
        *("addresses", "lo 192.0.2.77/32"),
        *({"paths": ["/run/nothing"]}, ""),
        also=("routes",),
    ),
    "route": Left(
        "ip route add 10.244.9.0/24 via 192.0.2.9 proto 17",
        *("routes", "dst 10.244.9.0/24 gateway 192.0.2.9 dev eth0 proto 17"),
        *({"routes": ["proto 17"]}, "route 10.244.9.0/24 via 192.0.2.9 dev eth0 proto 17"),
    ),
    "blackhole": Left(
        "ip route add blackhole 10.244.8.0/26 proto 80",
        *("routes", "type blackhole dst 10.244.8.0/26 proto 80"),
        *({"routes": ["proto 80"]}, "route blackhole 10.244.8.0/26 proto 80"),
    ),
    "route-by-destination": Left(
        "ip route add 10.244.7.0/24 via 192.0.2.9",
        *("routes", "dst 10.244.7.0/24 gateway 192.0.2.9 dev eth0 proto boot"),
        *({"routes": ["10.244.7.0/24"]}, "route 10.244.7.0/24 via 192.0.2.9 dev eth0"),
    ),
    "table": Left(
        "ip route add 10.244.6.0/24 via 192.0.2.9 table 77; "
        "ip -6 route add blackhole fd00:6::/64 table 77",
        *("routes", "dst 10.244.6.0/24 gateway 192.0.2.9 dev eth0 table 77 proto boot"),
        *({"routes": ["table 77"]}, "route 10.244.6.0/24 via 192.0.2.9 dev eth0 table 77"),
    ),
    "rule": Left(
        "ip rule add from 10.244.0.0/24 lookup 77; ip -6 rule add fwmark 7 lookup 77",
        *("rules", "-4 32765: src 10.244.0.0 srclen 24 table 77"),
        *({"rules": ["lookup 77"]}, "rule -6 32765: from all fwmark 0x7 lookup 77"),
    ),
    "neighbour": Left(
        "ip neighbour add 192.0.2.50 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
        *("neighbours", "eth0 192.0.2.50 02:00:00:00:00:01"),
        *({}, ""),
    ),
    "queue": Left(
        "tc qdisc replace dev eth0 root pfifo limit 7",
        *("queues", "eth0 pfifo root"),
        *({}, ""),
    ),
    "iptables": Left(
        "iptables-nft -t nat -N PLUGIN-POST; iptables-nft -t nat -A PLUGIN-POST -j MASQUERADE; "
        "iptables-nft -t nat -A POSTROUTING -m comment --comment 'a \"b\" c' -j PLUGIN-POST",
        *("iptables", "iptables-nft nat > -A PLUGIN-POST -j MASQUERADE"),
        *({"iptables": ["PLUGIN-*"]}, "iptables-nft nat chain PLUGIN-POST"),
    ),
    "iptables-legacy": Left(
        "iptables-legacy -N PLUGIN-FWD; iptables-legacy -A FORWARD -j PLUGIN-FWD; "
        "ip6tables-legacy -N PLUGIN-FWD; ip6tables-legacy -A FORWARD -g PLUGIN-FWD",
        *("iptables", "ip6tables-legacy filter > -A FORWARD -g PLUGIN-FWD"),
        *({"iptables": ["PLUGIN-FWD"]}, "iptables-legacy filter -A FORWARD -j PLUGIN-FWD"),
    ),
    "policy": Left(
        "iptables-nft -P FORWARD DROP",
        *("iptables", "iptables-nft filter > chain FORWARD DROP"),
        *({}, ""),
    ),
    "nft": Left(
        "nft add table inet pluginx; nft add chain inet pluginx c; "
        "nft add rule inet pluginx c ip saddr 10.0.0.0/8 counter drop",
        *("nft", "table inet pluginx > chain c > ip saddr 10.0.0.0/8 counter drop"),
        *({"nft_tables": ["inet pluginx"]}, "nft table inet pluginx"),
    ),
    "ipset": Left(
        "ipset create plugin-set hash:ip; "
        "iptables-nft -A FORWARD -m set --match-set plugin-set src -j DROP",
        *("ipsets", "plugin-set hash:ip"),
        *({"ipsets": ["plugin-*"]}, "ipset plugin-set"),
        also=("iptables",),
    ),
    "sysctl-file": Left(
        "echo net.ipv4.conf.all.rp_filter=0 >/etc/sysctl.d/99-zzz-override.conf",
        *("files", "/etc/sysctl.d/99-zzz-override.conf "),
        *({"paths": ["/etc/sysctl.d/99-zzz-override*"]}, "/etc/sysctl.d/99-zzz-override.conf"),
    ),
    "setting": Left(
        "echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter",
        *("settings", "net/ipv4/conf/all/rp_filter = 2"),
        *({}, ""),
    ),
    "configuration": Left(
        "echo {} >/etc/cni/net.d/05-x.conflist; mv /etc/cni/net.d/05-x.conflist "
        "/etc/cni/net.d/05-x.conflist.plugin_bak",
        *("files", "/etc/cni/net.d/05-x.conflist.plugin_bak ca3d163bab055381827226140568f3be"),
        *({"paths": ["/etc/cni/net.d/*.plugin_bak"]}, "/etc/cni/net.d/05-x.conflist.plugin_bak"),
    ),
    "program-of-the-plugin": Left(
        "echo x >/opt/cni/bin/plugin",
        *("files", "/opt/cni/bin/plugin "),
        *({"paths": ["/opt/cni/bin/plugin"]}, "/opt/cni/bin/plugin"),
    ),
    "folders": Left(
        "mkdir -p /run/plugin /var/lib/plugin /var/lib/cni/networks/plugin",
        *("folders", "/var/lib/cni/networks"),
        *(
            {"paths": ["/run/plugin", "/var/lib/plugin", "/var/lib/cni/networks"]},
            "/var/lib/plugin",
        ),
    ),
    "pin": Left(
        "mkdir /sys/fs/bpf/plugin; " + bpf("pin /sys/fs/bpf/plugin/program"),
        *("bpf", "plugin/program"),
        *({"bpf_pins": ["plugin"]}, "bpf pin /sys/fs/bpf/plugin"),
    ),
    "filter": Left(
        bpf("pin /sys/fs/bpf/one")
        + "tc qdisc add dev eth0 clsact; "
        + "tc filter add dev eth0 ingress pref 7 bpf da object-pinned /sys/fs/bpf/one; "
        + "rm /sys/fs/bpf/one",
        *("tc", "eth0 ingress all 7 bpf one"),
        *({"tc": ["eth*"]}, "tc eth0 clsact"),
    ),
    "tcx": Left(
        bpf("tcx eth0"),
        *("tc", "eth0 tcx ingress trial_program"),
        *({"tc": ["eth0"]}, "tcx eth0 ingress trial_program"),
    ),
}
UNDONE_BY_HAND = {
    "address": "ip address delete 192.0.2.77/32 dev lo",
    "neighbour": "ip neighbour delete 192.0.2.50 dev eth0",
    "queue": "tc qdisc delete dev eth0 root",
    "policy": "iptables-nft -P FORWARD ACCEPT; nft delete table ip filter",
    "setting": "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter",
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_found_by_name_and_removed(node: AgentNode, name: str) -> None:
    left = LEFT[name]
    before = node.inventory()
    node.run(left.script)
    after = node.inventory()
    new = {kind: after[kind] - before[kind] for kind in after if after[kind] != before[kind]}
    assert any(line.startswith(left.line) for line in new[left.kind]), new
    assert set(new) <= {left.kind, *left.also}, new

    would_go = node.call("would_clean", actions=left.actions)
    assert node.inventory() == after
    told = node.call("clean", actions=left.actions)
    assert told["problems"] == []
    assert set(told["removed"]) <= set(would_go)
    if name in UNDONE_BY_HAND:
        node.run(UNDONE_BY_HAND[name])
    else:
        assert left.removed in told["removed"], told
    assert node.inventory() == before
    assert node.call("would_clean", actions=left.actions) == []
    assert node.call("clean", actions=left.actions) == {"removed": [], "problems": []}


def test_everything_that_would_be_taken_away_is_told_at_once(node: AgentNode) -> None:
    taken = [left for name, left in LEFT.items() if name not in UNDONE_BY_HAND and left.removed]
    actions: dict[str, list[str]] = {}
    for left in taken:
        node.run(left.script)
        for kind, patterns in left.actions.items():
            actions.setdefault(kind, []).extend(patterns)
    before = node.inventory()
    would_go = node.call("would_clean", actions=actions)
    assert node.inventory() == before
    assert {left.removed for left in taken} | {"link calix1"} <= set(would_go)
    assert node.call("clean", actions=actions)["problems"] == []
    assert node.call("would_clean", actions=actions) == []


def test_xdp_programs_are_told_and_taken_off(node: AgentNode) -> None:
    node.run("ip link add xdpx type veth peer xdpy; ip link set xdpx up")
    before = node.inventory()
    node.run(bpf("pin-xdp /sys/fs/bpf/x"))
    node.run("ip link set dev xdpx xdpgeneric pinned /sys/fs/bpf/x; rm /sys/fs/bpf/x")
    new = node.inventory()["links"] - before["links"]
    assert [line.split(" xdp ")[0] for line in new] == ["xdpx veth mtu 1500 master None"]
    assert node.call("would_clean", actions={"tc": ["xdp*"]}) == ["xdp xdpx"]
    assert node.call("clean", actions={"tc": ["xdp*"]})["removed"] == ["xdp xdpx"]
    assert node.inventory() == before
    node.call("clean", actions={"links": ["xdp?"]})


def test_what_the_cluster_itself_changes_is_no_residue(node: AgentNode) -> None:
    before = node.inventory()
    node.run(
        "nft add table ip kube-proxy; nft add chain ip kube-proxy services;"
        "iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -N KUBE-SVC-X;"
        "iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1 -j KUBE-SVC-X;"
        "iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES;"
        "iptables-nft -t mangle -N KUBE-KUBELET-CANARY;"
        "mkdir -p /var/lib/cni/results /run/netns; echo x >/var/lib/cni/results/a"
    )
    assert node.inventory() == before
    node.run("iptables-nft -t nat -N KUBE-ROUTER-X; iptables-nft -t nat -N KUBE-NWPLCY-X")
    new = node.inventory()["iptables"] - before["iptables"]
    assert "iptables-nft nat > chain KUBE-ROUTER-X -" in new
    assert "iptables-nft nat > chain KUBE-NWPLCY-X -" in new
    node.run("nft flush ruleset; rm -r /var/lib/cni/results")


def test_traffic_is_no_residue(node: AgentNode) -> None:
    node.run("nft add table inet t; nft add chain inet t c '{type filter hook output priority 0;}'")
    node.run("nft add rule inet t c counter; iptables-nft -A OUTPUT -d 192.0.2.0/24 -j ACCEPT")
    before = node.inventory()
    node.run("ping -c 1 192.0.2.10; ping -c 1 -W 1 192.0.2.11 || true")
    assert node.inventory() == before
    node.run("nft flush ruleset")


@pytest.mark.parametrize(
    "actions",
    [
        {"paths": ["/"]},
        {"paths": ["/etc"]},
        {"paths": ["/*/x"]},
        {"paths": ["/run/*"]},
        {"paths": ["/var/*/x"]},
        {"paths": ["/var/lib"]},
        {"paths": ["/var/lib/"]},
        {"paths": ["/var/lib/*"]},
        {"paths": ["/var/lib/cni"]},
        {"paths": ["/etc/cni/net.d/*"]},
        {"paths": ["/var/lib/plugin/../x"]},
        {"paths": ["run/plugin"]},
        {"bpf_pins": ["*"]},
        {"bpf_pins": ["./*"]},
        {"bpf_pins": ["/sys/fs/bpf/x"]},
        {"bpf_pins": ["../x"]},
        {"links": ["*"]},
        {"links": ["[a-z]*"]},
        {"links": ["lo"]},
        {"links": ["eth0"]},
        {"links": ["eth*"]},
        {"tc": ["*"]},
        {"tc": ["?*-*"]},
        {"routes": ["table main"]},
        {"routes": ["proto kernel"]},
        {"routes": ["default"]},
        {"routes": [""]},
        {"rules": ["lookup main"]},
        {"rules": ["priority"]},
        {"iptables": ["*"]},
        {"ipsets": ["*"]},
        {"nft_tables": ["ip *"]},
    ],
    ids=str,
)
def test_what_would_take_away_the_system_is_refused(
    node: AgentNode, actions: dict[str, list[str]]
) -> None:
    node.run(
        "mkdir -p /var/lib/plugin /run/plugin; touch /etc/cni/net.d/x;"
        "ip route replace 192.0.3.0/24 dev eth0"
    )
    before = node.inventory()
    told = node.call("clean", actions=actions)
    assert told["removed"] == []
    assert len(told["problems"]) == 1
    assert node.error("would_clean", actions=actions).startswith("RefusedError: ")
    assert node.inventory() == before
    node.run("ip route delete 192.0.3.0/24; rm -r /etc/cni/net.d/x /var/lib/plugin /run/plugin")


def test_an_action_that_does_not_exist_is_refused_before_anything_is_done(node: AgentNode) -> None:
    node.run("ip link add brx type bridge")
    assert "no such action: bridges" in node.error(
        "clean", actions={"bridges": [], "links": ["brx"]}
    )
    assert "no such action: bridges" in node.error("would_clean", actions={"bridges": []})
    assert node.call("clean", actions={"links": ["brx"]})["removed"] == ["link brx"]


def test_one_action_that_fails_does_not_keep_the_others_from_their_work(node: AgentNode) -> None:
    node.run("ip link add brx type bridge; mkdir /run/plugin")
    actions = {"links": ["eth0"], "paths": ["/run/plugin"], "modules": ["no_such_module"]}
    told = node.call("clean", actions=actions)
    assert told["removed"] == ["/run/plugin"]
    assert "links: eth0 is the node's own way to others and stays" in told["problems"]
    node.call("clean", actions={"links": ["brx"]})


def test_what_is_mounted_in_a_folder_is_unmounted_and_not_emptied(node: AgentNode) -> None:
    node.run(
        "mkdir -p /tmp/held /run/plugin/mounted/deep; touch /tmp/held/kept;"
        "mount --bind /tmp/held /run/plugin/mounted; mount -t tmpfs x /run/plugin/mounted/deep"
        " 2>/dev/null || mkdir -p /tmp/held/deep"
    )
    assert node.call("clean", actions={"paths": ["/run/plugin"]})["removed"] == ["/run/plugin"]
    assert "kept" in node.run("ls /tmp/held")
    assert "/run/plugin" not in node.run("cat /proc/mounts")
