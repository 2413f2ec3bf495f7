"""Looking at the frames on a node's uplink, by its agent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from steps.lib.afterwards import afterwards
from steps.lib.targets.kubernetes.agents import Agents
from steps.lib.targets.protocol import Node
from steps.lib.targets.wire import Between, Seen


@contextmanager
def watching(agents: Agents, node: Node, between: Between) -> Iterator[Callable[[], Seen]]:
    """Look until the end of the block; what is yielded ends it, and tells what was seen."""

    def stop() -> Seen:
        return Seen(**agents.call(node.name, "stop_watching"))

    agents.call(node.name, "start_watching", device=node.uplink, between=asdict(between))
    with afterwards(stop, f"the uplink of {node.name} is still watched"):
        yield stop
