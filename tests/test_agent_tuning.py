"""The program on the nodes tunes them: the same kinds, by the same code, over its JSON lines."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import pytest

from steps.lib.models import Entry
from steps.lib.restoring import restore
from steps.lib.setting import Found, Look, look_of
from steps.lib.state import BlockState
from steps.lib.targets.kubernetes.agents import Agents, Answer, _error
from steps.lib.targets.kubernetes.target import KubernetesTarget
from steps.lib.targets.protocol import Node
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.agent_nodes import ADDRESS, UPLINK, AgentNode, agent_node
from tests.tuning import STATE, entry, profile, sysctl

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


def looks(node: AgentNode, *entries: Entry) -> list[Look]:
    wanted = [e.wanted for e in entries]
    return [look_of(told) for told in node.call("look_up", uplink=UPLINK, wanted=wanted)]


def value(node: AgentNode, found: Found) -> str | None:
    (read,) = node.call("read_node_settings", uplink=UPLINK, settings=[found.setting])
    return str(read) if read is not None else None


@pytest.mark.parametrize(
    ("asked", "command", "shown"),
    [
        (sysctl("net.ipv4.tcp_sack", "0"), "sysctl net.ipv4.tcp_sack", "= 0"),
        (entry("ethtool_feature", "on", "gro"), "ethtool -k eth0", "generic-receive-offload: on"),
        (entry("ethtool_feature", "off", "tso"), "ethtool -k eth0", "tx-tcp-segmentation: off"),
        (entry("mtu", "9000"), "ip link show eth0", "mtu 9000"),
        (entry("qdisc", "pfifo"), "tc qdisc show dev eth0", "qdisc pfifo "),
        (entry("rps", "0"), "cat /sys/class/net/eth0/queues/rx-0/rps_cpus", "1"),
    ],
    ids=lambda x: str(x.wanted) if isinstance(x, Entry) else "",
)
def test_a_setting_is_found_set_and_put_back_as_the_node_itself_shows_it(
    node: AgentNode, asked: Entry, command: str, shown: str
) -> None:
    before = node.run(command)
    (look,) = looks(node, asked)
    assert look.lacking is None and look.found
    for found in look.found:
        written = {"uplink": UPLINK, "setting": found.setting, "value": found.intended}
        node.call("write_node_setting", **written)
    assert [value(node, found) for found in look.found] == [f.intended for f in look.found]
    assert shown in node.run(command)
    for found in (*look.found, *reversed(look.found)):  # Some need others that are on again.
        if value(node, found) != found.present:
            written = {"uplink": UPLINK, "setting": found.setting, "value": found.present}
            node.call("write_node_setting", **written)
    assert node.run(command) == before
    assert [value(node, found) for found in look.found] == [f.present for f in look.found]


def test_what_the_node_lacks_is_told_with_the_reason(node: AgentNode) -> None:
    asked = (
        entry("ethtool_ring", "4096", "rx"),
        entry("irq_affinity", "all"),
        entry("kernel_cmdline", "7", "no_such"),
        sysctl("net.ipv4.tcp_no_such", "1"),
    )
    for look, one in zip(looks(node, *asked), asked, strict=True):
        assert look.found == ()
        assert look.lacking is not None and look.lacking.startswith(f"{one.wanted}: ")


def test_a_value_that_is_not_offered_is_refused(node: AgentNode) -> None:
    wanted = [entry("rps", "4095").wanted]
    assert "no processor 4095" in node.error("look_up", uplink=UPLINK, wanted=wanted)
    setting = ["mtu", UPLINK, ""]
    error = node.error("write_node_setting", uplink=UPLINK, setting=setting, value="99999")
    assert error.startswith("RefusedError: mtu eth0 cannot be set to '99999'")


# ---------- the target of clusters, with two such nodes instead of a cluster
class NearAgents(Agents):
    """Agents that are asked by a pipe."""

    def __init__(self, nodes: Mapping[str, AgentNode]) -> None:
        super().__init__(None, "", list(nodes))  # type: ignore[arg-type]
        self.near = nodes

    def _ask(self, node: str, call: str, arguments: dict[str, Any]) -> Answer:
        request = {"id": 1, "call": call, "arguments": arguments}
        told = self.near[node].ask(json.dumps(request).encode())
        if "error" in told:
            raise _error(node, told["error"])
        return Answer(told["result"], 1)


class Cluster(KubernetesTarget):
    """A cluster's target without an API server: its state is kept here."""

    def __init__(self, nodes: Mapping[str, AgentNode], saves_max: int | None = None) -> None:
        self.name, self.saves_max = "near", saves_max
        self.saved: list[BlockState] = []
        self.__dict__["_agents"] = NearAgents(nodes)
        self.__dict__["_nodes"] = tuple(Node(name, ADDRESS, UPLINK) for name in nodes)

    def node(self, name: str) -> Node | None:
        return next((node for node in self._nodes if node.name == name), None)

    def load_state(self) -> BlockState | None:
        return self.saved[-1]

    def save_state(self, state: BlockState | None) -> None:
        assert state is not None
        self.saved.append(state)
        if len(self.saved) == self.saves_max:
            raise Killed


class Killed(BaseException):
    """Ends what is being done as a kill would: nothing of ours catches it."""


@pytest.fixture
def cluster(node: AgentNode) -> Iterator[Cluster]:
    with agent_node() as other:
        yield Cluster({"a": node, "b": other})


EVERY = profile(
    sysctl("net.ipv4.tcp_sack", "0"),
    entry("congestion_control", "reno"),
    entry("ethtool_feature", "off", "tso"),
    entry("ethtool_feature", "on", "gro"),
    entry("ethtool_channels", "2", "rx"),
    entry("qdisc", "pfifo"),
    entry("rps", "0"),
    entry("ethtool_ring", "4096", "rx", optional=True),
    entry("mtu", "9000"),
)
"""Nothing of the whole machine: the journal here ends with the process; a kill would leave it."""


def shown(cluster: Cluster) -> list[str]:
    """What both nodes show of themselves."""
    commands = (
        "ethtool -k eth0; tc qdisc show dev eth0; ip -o link show eth0; sysctl net.ipv4.tcp_sack;"
        "sysctl net.ipv4.tcp_congestion_control; cat /sys/class/net/eth0/queues/rx-0/rps_cpus;"
        "ethtool -l eth0 || true"
    )
    agents: NearAgents = cluster.__dict__["_agents"]
    return [node.run(commands) for node in agents.near.values()]


def test_a_cluster_is_tuned_and_put_back(cluster: Cluster) -> None:
    before = shown(cluster)
    assert unsupported(cluster, EVERY) is None
    state = apply_profile(cluster, STATE, EVERY, before_install=True)
    assert {(e.node, e.kind) for e in state.journal} == {("a", "mtu"), ("b", "mtu")}
    state = apply_profile(cluster, state, EVERY)
    assert read_back(cluster, state).wrong == ()
    assert list(state.lacking) == ["a", "b"]
    assert shown(cluster) != before
    assert restore(cluster, state)[1] == []
    assert shown(cluster) == before


def test_a_cluster_is_put_back_whatever_was_the_last_word_of_the_journal(cluster: Cluster) -> None:
    before, journal = shown(cluster), apply_profile(cluster, STATE, EVERY).journal
    saves = 2 * len(list(groupby(journal, lambda e: e.asked)))
    assert restore(cluster, cluster.saved[-1])[1] == []
    for number in range(1, saves + 1):
        dying = Cluster(cluster.__dict__["_agents"].near, saves_max=number)
        with pytest.raises(Killed):
            apply_profile(dying, STATE, EVERY)
        assert restore(cluster, dying.saved[-1])[1] == [], number
        assert shown(cluster) == before, number


def test_what_one_node_of_a_cluster_lacks_is_told_with_its_name(cluster: Cluster) -> None:
    reason = unsupported(cluster, profile(entry("ethtool_ring", "4096", "rx")))
    assert reason is not None
    assert reason.startswith("profile tuned: a: ethtool_ring rx: the driver of eth0 has none")
    assert "; b: ethtool_ring rx: " in reason
