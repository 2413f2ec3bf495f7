"""The residue check across blocks: nodes as they were before the first install, kept on the target.

A block compares its nodes before and after itself. That alone would let one block's residue become
the next one's normal state; so what was found before the first install stays on the target, and no
block starts on nodes that differ from it.
"""

import json
from dataclasses import dataclass

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.api import NAMESPACE
from steps.lib.targets.kubernetes.memory import Memory
from steps.lib.targets.protocol import Inventory, difference

BASELINE = "cnibench-baseline-"
LINES_MAX = 40


@dataclass(frozen=True)
class Baseline:
    """Inventories by node."""

    memory: Memory

    def settle(self, node: str, found: Inventory) -> None:
        """Keep the first inventory of a node; refuse a later one that differs.

        Raises:
            RefusedError: the node is not as it was before the first install.
        """
        changes = self._changes(node, found)
        if changes:
            raise RefusedError(_refusal(node, changes))
        document = {kind: sorted(items) for kind, items in found.items()}
        self.memory.save(BASELINE + node, json.dumps(document))

    def forget_if_met(self, node: str, found: Inventory) -> None:
        """A campaign has ended: what it left as it was needs no record; residue keeps its own."""
        if not self._changes(node, found):
            self.memory.delete(BASELINE + node)

    def _changes(self, node: str, found: Inventory) -> list[str]:
        text = self.memory.load(BASELINE + node)
        if text is None:
            return []
        return difference({k: frozenset(v) for k, v in json.loads(text).items()}, found)


def _refusal(node: str, changes: list[str]) -> str:
    shown = "".join(f"\n  {line}" for line in changes[:LINES_MAX])
    more = f"\n  and {len(changes) - LINES_MAX} more" if len(changes) > LINES_MAX else ""
    return (
        f"node {node} is not as it was before the first install, so nothing is measured on it:"
        f"{shown}{more}\nput it right (most surely by a reboot), or, if it is meant to be so, "
        f"delete ConfigMap {BASELINE}{node} in namespace {NAMESPACE}"
    )
