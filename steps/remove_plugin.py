"""Stage 8: remove the plugin and prove that nothing of it is left. It always runs."""

import time

from hera.workflows import Output

from steps.lib.errors import RefusedError
from steps.lib.stage import BlockInput, stage
from steps.lib.state import BlockState
from steps.lib.targets.protocol import Target, difference


class RemovePluginInput(BlockInput):
    """See ``BlockInput``."""


class RemovePluginOutput(Output):
    """Nothing: the residue is in the block's state."""


@stage(deadline_s=1800, retries=2)
def remove_plugin(remove_input: RemovePluginInput) -> RemovePluginOutput:
    """Remove pods, then the plugin; compare each node with its inventory from before.

    Reads: inventories of all nodes.
    Writes: the nodes; residue and time in the block's state. Idempotent.
    Fails when: something is left behind, or something that was there is gone.
    """
    context = remove_input.open()
    if not context.holds_target():
        return RemovePluginOutput()
    started = time.monotonic()
    context.target.remove()
    residue = _residue(context.target, context.state())
    context.update(remove_s=time.monotonic() - started, residue=residue)
    if residue:
        raise RefusedError("the nodes are not as before:\n  " + "\n  ".join(residue))
    return RemovePluginOutput()


def _residue(target: Target, state: BlockState) -> tuple[str, ...]:
    found: list[str] = []
    for node in target.all_nodes():
        before = {k: frozenset(v) for k, v in state.inventory_before.get(node.name, {}).items()}
        changes = difference(before, target.inventory(node))
        found += [f"{node.name}: {change}" for change in changes]
    return tuple(found)
