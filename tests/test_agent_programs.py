"""The agent tells what it cannot read, and finds what one of several programs can tell only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.agent_nodes import AgentNode, agent_node

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


def test_a_table_that_iptables_cannot_read_is_told_by_nft(node: AgentNode) -> None:
    before = node.inventory()
    node.run(
        "iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -N KUBE-SVC-X;"
        "iptables-nft -t nat -A KUBE-SERVICES -j KUBE-SVC-X"
    )
    assert node.inventory() == before
    node.run("nft add set ip nat left '{ type ipv4_addr; }'")
    of_set = {"table ip nat > set left", "table ip nat > set left > type ipv4_addr"}
    assert node.inventory()["nft"] - before["nft"] == of_set
    node.run("nft add rule ip nat KUBE-SVC-X ip saddr @left; nft add chain ip nat left")
    node.run("nft add rule ip nat left ct state invalid masquerade fully-random")
    assert node.inventory()["nft"] - before["nft"] == {
        *of_set,
        "table ip nat",
        "table ip nat > chain left",
        "table ip nat > chain left > ct state invalid masquerade fully-random",
    }
    node.run("nft flush ruleset")
    assert node.inventory() == before


UNREADABLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nft": ("nft", "inventory", {"uplink": "eth0"}),
    "ipset": ("ipset", "inventory", {"uplink": "eth0"}),
    "ethtool": ("ethtool", "inventory", {"uplink": "eth0"}),
    "nft-tables": ("nft", "would_clean", {"actions": {"nft_tables": ["ip plugin"]}}),
    "sets": ("ipset", "would_clean", {"actions": {"ipsets": ["plugin-*"]}}),
    "tc": ("tc", "would_clean", {"actions": {"tc": ["eth0"]}}),
    "kube-proxy": ("nft", "kube_proxy", {}),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_program_that_cannot_read_what_there_is_is_an_error(node: AgentNode, name: str) -> None:
    program, call, arguments = UNREADABLE[name]
    with instead_of(node, program, "echo cannot parse it >&2; exit 1"):
        error = node.error(call, **arguments)
    assert error.startswith(f"RefusedError: `{program} ")
    assert error.endswith("ended with 1: cannot parse it")


def test_a_program_whose_part_of_the_kernel_is_absent_finds_nothing(node: AgentNode) -> None:
    for said in ("ipset v7.22: Cannot open session to kernel.", "x: Operation not supported"):
        with instead_of(node, "ipset", f"echo '{said}' >&2; exit 1"):
            assert node.inventory()["ipsets"] == set()
    with instead_of(node, "ipset", "exit 127"):
        assert node.inventory()["ipsets"] == set()


def test_rules_that_iptables_has_no_library_for_are_an_error(node: AgentNode) -> None:
    node.run("iptables-nft -A FORWARD -m comment --comment x -j ACCEPT")
    node.run("mount -t tmpfs none /agent/usr/lib/*/xtables")
    error = node.error("inventory", uplink="eth0")
    told = node.call("clean", actions={"iptables": ["PLUGIN-*"], "paths": ["/run/plugin"]})
    node.run("umount /agent/usr/lib/*/xtables; nft flush ruleset")
    assert error.startswith("RefusedError: `iptables-nft-save` ended with 3: ")
    assert told["problems"][0].startswith("iptables: `iptables-nft-save` ended with 3: ")


@contextmanager
def instead_of(node: AgentNode, program: str, script: str) -> Iterator[None]:
    """Have the agent find a script of sh where one of its programs is."""
    place = f"/agent$(readlink -f $(command -v {program}))"
    node.run(f"printf '#!/bin/sh\n%s\n' \"{script}\" >/tmp/fake; chmod +x /tmp/fake")
    node.run(f"mount --bind /tmp/fake {place}")
    try:
        yield
    finally:
        node.run(f"umount {place}")


KUBE_PROXY = {
    "iptables-nft chain KUBE-SERVICES": (
        "iptables-nft -t nat -N KUBE-SERVICES",
        "nft flush ruleset",
    ),
    "ip6tables-legacy chain KUBE-SERVICES": (
        "ip6tables-legacy -t nat -N KUBE-SERVICES",
        "ip6tables-legacy -t nat -X",
    ),
    "nft table ip kube-proxy": ("nft add table ip kube-proxy", "nft flush ruleset"),
    "link kube-ipvs0": (
        "ip link add kube-ipvs0 type bridge",
        "ip link delete kube-ipvs0",
    ),
}


@pytest.mark.parametrize("trace", KUBE_PROXY)
def test_kube_proxy_is_found_in_each_of_its_modes(node: AgentNode, trace: str) -> None:
    made, undone = KUBE_PROXY[trace]
    node.run("nft add table ip kube-proxy-of-others; iptables-nft -t nat -N KUBE-MARK-MASQ")
    assert node.call("kube_proxy") == []
    node.run(made)
    assert node.call("kube_proxy") == [trace]
    node.run(f"{undone}; nft flush ruleset")
    assert node.call("kube_proxy") == []


def test_kube_proxy_is_found_in_a_table_that_iptables_cannot_read(node: AgentNode) -> None:
    node.run("iptables-nft -t nat -N KUBE-SERVICES")
    node.run("nft add rule ip nat KUBE-SERVICES ct state invalid masquerade fully-random")
    assert "is incompatible" in node.run("iptables-nft-save")
    assert node.call("kube_proxy") == ["iptables-nft chain KUBE-SERVICES"]
    node.run("nft flush ruleset")
