"""What the machine is: both nodes are namespaces of one kernel, so their facts are the same."""

from steps.lib.targets import proc
from steps.lib.targets.protocol import NodeFacts


def read(underlay_mtu: int, toolbox_digest: str) -> NodeFacts:
    """Read everything from proc."""
    return NodeFacts(
        **proc.machine()._asdict(),
        underlay_mtu_bytes=underlay_mtu,
        toolbox_digest=toolbox_digest,
    )
