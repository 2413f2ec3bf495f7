"""What stays on a node is named in its block's row, and no block starts until it is gone."""

from pathlib import Path
from typing import Any

import pytest

from lab.images import IN_NODE
from lab.layout import Lab, cluster_of
from lab.node import init_pid
from steps.lib.executor import Event, Report, Start
from steps.lib.models import Plugin
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.reference_chain import STATE_DIRECTORY
from steps.lib.targets.namespaces.programs import output
from tests.agent_bpf import bpf
from tests.jobs import plugin
from tests.lab.campaigns import FAST, NORMAL, Run, lab_job

pytestmark = pytest.mark.lab

LEFT = {
    "ip link add left0 type bridge": "links: left behind: left0 bridge",
    "iptables-nft --table nat --new-chain LEFT; iptables-nft --table nat --append LEFT": (
        "iptables: left behind: iptables-nft nat > -A LEFT"
    ),
    "ip route add 203.0.113.0/24 via 10.98.0.1 proto 17": (
        "routes: left behind: dst 203.0.113.0/24 gateway 10.98.0.1"
    ),
    "ipset create left hash:ip": "ipsets: left behind: left hash:ip",
    "echo x=1 >/etc/sysctl.d/99-left.conf": "files: left behind: /etc/sysctl.d/99-left.conf",
    "echo {} >/etc/cni/net.d/10-x.conflist.left_bak": (
        "files: left behind: /etc/cni/net.d/10-x.conflist.left_bak"
    ),
    "mkdir /sys/fs/bpf/left\n" + bpf("pin /sys/fs/bpf/left/program"): (
        "bpf: left behind: left/program"
    ),
    "tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress pref 7 bpf da object-pinned "
    "/sys/fs/bpf/left/program": "tc: left behind: eth0 egress all 7 bpf program",
}
"""Lines of sh, and how what they make is named."""

COVERED = {
    "links": ["cni0", "left*"],
    "iptables": ["LEFT"],
    "routes": ["proto 17"],
    "ipsets": ["left"],
    "paths": ["/etc/sysctl.d/99-left.conf", "/etc/cni/net.d/*.left_bak"],
    "bpf_pins": ["left"],
    "tc": ["eth0"],
}
"""Actions for all of it."""

BY_HAND = """
ip link delete left0
iptables-nft --table nat --flush LEFT; iptables-nft --table nat --delete-chain LEFT
ip route delete 203.0.113.0/24
ipset destroy left
tc qdisc delete dev eth0 clsact
rm --recursive /etc/sysctl.d/99-left.conf /etc/cni/net.d/10-x.conflist.left_bak /sys/fs/bpf/left
"""


def on_node(lab: Lab, script: str) -> None:
    """Run lines of sh on the second node."""
    _, host = cluster_of("n2")
    entering = [*IN_NODE, str(init_pid(lab, host)), "--net", "--"]
    output([*entering, "sh", "-ec", script])


def left_on_purpose(lab: Lab) -> Report:
    """Leave everything behind the last cell of each block."""

    def report(event: Event | Start) -> None:
        if isinstance(event, Event) and event.stage == "remove-plugin" and event.status is None:
            on_node(lab, "\n".join(LEFT))

    return report


def covering() -> Plugin:
    """A plugin that declares what is left."""
    real = plugin(NORMAL).model_dump()
    return Plugin.model_validate(real | {"name": "covering", "removes": real["removes"] | COVERED})


def test_what_a_late_call_of_the_runtime_makes_anew_is_removed_as_well(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, late = Agents.call, f"{STATE_DIRECTORY}/ipam/late/lock"
    called: set[str] = set()

    def calling(self: Agents, node: str, name: str, /, **arguments: Any) -> Any:
        told = call(self, node, name, **arguments)
        if name == "clean" and node not in called:
            called.add(node)
            call(self, node, "write_file", path=late, text="")
        return told

    monkeypatch.setattr(Agents, "call", calling)
    run = Run(tmp_path)
    run.of(lab_job(lab, plugin(NORMAL)))
    assert called == {"n1", "n2"}
    assert run.blocks() == {NORMAL: ("ok", "")}


def test_residue_is_removed_where_declared_else_named_and_no_block_starts_until_it_is_gone(
    lab: Lab, api: Api, tmp_path: Path
) -> None:
    run = Run(tmp_path / "left")
    leaving = lab_job(lab, covering(), plugin(FAST))
    assert run.of(leaving, left_on_purpose(lab)) == [f"{FAST}.base.r1"]
    ours, theirs = run.select("select status, reason, residue from blocks order by plugin")
    assert ours == ("ok", None, [])
    status, reason, residue = theirs
    assert status == "failed" and "the nodes are not as before" in reason
    for name in LEFT.values():
        assert [line for line in residue if line.startswith(f"n2: {name}")], (name, residue)
    assert [line for line in residue if not line.startswith("n2: ")] == []
    # Found again by whoever comes next, from what is kept on the cluster alone.
    again = Run(tmp_path / "again")
    small = lab_job(lab, plugin(FAST))
    assert again.of(small) == [f"{FAST}.base.r1"]
    (said,) = again.said("preflight")
    assert said.startswith("failed: node n2 is not as it was before the first install")
    assert [name for name in LEFT.values() if name not in said] == []
    assert again.said("install-plugin") == []
    status, reason = again.blocks()[FAST]
    assert (status, reason) == ("failed", said.replace("failed:", "preflight:", 1))
    on_node(lab, BY_HAND)
    assert again.of(small) == []
    assert again.blocks() == {FAST: ("ok", "")}
    assert api.get(api.core.read_namespace, NAMESPACE) is None
