"""Whether nodes offer what a plugin needs, found by looking at them; nothing is installed."""

import re
from collections.abc import Iterator, Sequence

from steps.lib.models import Needs
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.protocol import Node


def problem(agents: Agents, nodes: Sequence[Node], needs: Needs) -> str | None:
    """The first thing that is absent, in words for ``unsupported``; None if all is there."""
    return next((p for node in nodes for p in _problems(agents, nodes, node, needs)), None)


def _problems(agents: Agents, nodes: Sequence[Node], node: Node, needs: Needs) -> Iterator[str]:
    if needs.kernel is not None:
        found = str(agents.facts(node).kernel)
        if _version(found) < _version(needs.kernel):
            yield f"kernel is {found}, needed is {needs.kernel}"
    for kind in needs.link_kinds:
        if agents.call(node.name, "link_kind_problem", kind=kind):
            yield f"kernel has no {kind}"
    for module in needs.modules:
        if agents.call(node.name, "module_state", name=module) == "absent":
            yield f"kernel has no {module}"
    for path in needs.programs:
        if not agents.call(node.name, "exists", path=path):
            yield f"node {node.name} has no {path}"
    if needs.kube_proxy != "any":
        present = bool(agents.call(node.name, "kube_proxy"))
        if present != (needs.kube_proxy == "present"):
            yield f"kube-proxy is {'present' if present else 'absent'} on node {node.name}"
    if needs.l2_adjacent:
        for peer in nodes:
            if peer != node and not _is_adjacent(agents, node, peer):
                yield f"node {node.name} reaches {peer.name} through a router"


def _version(text: str) -> tuple[int, ...]:
    """Numbers of ``6.18.5-generic`` or ``>=5.6``; two are enough."""
    return tuple(int(digits) for digits in re.findall(r"\d+", text)[:2])


def _is_adjacent(agents: Agents, node: Node, peer: Node) -> bool:
    result = agents.call(node.name, "run", command=["ip", "route", "get", peer.address])
    return result["exit_code"] == 0 and " via " not in result["stdout"]
