"""Which cells of a block have no measurement yet: the whole of resuming."""

from steps.lib.plan import Block
from steps.lib.store import Store, measured_cells
from steps.lib.targets.protocol import Target


def missing_cells(block: Block, target: Target, store: Store) -> list[str]:
    """Ids of supported cells without a stored measurement, in running order.

    For blocks of a plan that was made without looking at the target.
    """
    return [] if target.unsupported(block.plugin) else unmeasured_cells(block, store)


def unmeasured_cells(block: Block, store: Store) -> list[str]:
    """The same for a block of ``plan_on``, which has asked the target: that takes its time."""
    if block.unsupported_reason:
        return []
    done = measured_cells(store, block.job.campaign.name, block.id)
    return [c.id for c in block.cells if c.unsupported_reason is None and c.id not in done]
