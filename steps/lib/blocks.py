"""Rows about a block as a whole, made from its state on the target."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from steps.lib.errors import CnibenchError
from steps.lib.plan import Block
from steps.lib.state import BlockState
from steps.lib.store import Store, write_rows
from steps.lib.tables import BLOCKS
from steps.lib.targets.protocol import Node, Target

LOG = logging.getLogger("cnibench")

_IDENTITY = ("campaign", "block", "plugin", "profile", "repeat", "install_id", "boot_id")
_READ = (
    "plugin_version",
    "plugin_fingerprint",
    "environment_fingerprint",
    "idle_busy_cpus",
    "plugin_memory_bytes",
)
_TIMES = ("install_s", "ready_s", "tune_s", "restore_s", "remove_s", "started_at")


def write_block(
    store: Store, state: BlockState, status: str, reason: str | None, drift_ratio: float | None
) -> None:
    """Write the one row of this install of the block."""
    row = {name: getattr(state, name) for name in (*_IDENTITY, *_READ, *_TIMES)} | {
        "status": status,
        "reason": reason,
        "drift_ratio": drift_ratio,
        "residue": None if state.residue is None else list(state.residue),
        "ended_at": datetime.now(UTC),
    }
    write_rows(store, "blocks", [row], **keys_of(state))


def write_refused(store: Store, block: Block, started_at: datetime, reason: str) -> None:
    """Write the row of a block that could not begin: nothing of it is on the target."""
    row = dict.fromkeys(column.name for column in BLOCKS) | {
        "campaign": block.job.campaign.name,
        "block": block.id,
        "plugin": block.plugin.name,
        "profile": block.profile.name,
        "repeat": block.repeat,
        "install_id": str(uuid.uuid4()),
        "status": "failed",
        "reason": reason,
        "started_at": started_at,
        "ended_at": datetime.now(UTC),
    }
    keys = {name: str(row[name]) for name in ("campaign", "block", "install_id")}
    write_rows(store, "blocks", [row], **keys)


def write_nodes(store: Store, state: BlockState, target: Target) -> None:
    """Write one row per node that answers: what it is, and what the profile set on it."""
    rows: list[dict[str, Any]] = []
    for node in _nodes_of(target):
        try:
            rows.append(_node_row(state, target, node))
        except CnibenchError as error:
            LOG.warning("block=%s node=%s has no row: %s", state.block, node.name, error)
    if rows:
        write_rows(store, "nodes", rows, **keys_of(state))


def _nodes_of(target: Target) -> Sequence[Node]:
    """The nodes; none if one does not even say what its devices are."""
    try:
        return target.nodes()
    except CnibenchError as error:
        LOG.warning("no node has a row: %s", error)
        return ()


def _node_row(state: BlockState, target: Target, node: Node) -> dict[str, Any]:
    tuned = [
        {"name": str(e.setting), "before": e.before, "intended": e.intended, "after": e.after}
        for e in state.tuned
        if e.node == node.name
    ]
    facts = target.facts(node)
    return (
        vars(facts)
        | keys_of(state)
        | {
            "node": node.name,
            # As it was measured: by now it may be put back.
            "underlay_mtu_bytes": state.mtu_bytes or facts.underlay_mtu_bytes,
            "environment_class": target.environment_class,
            "environment_fingerprint": state.environment_fingerprint,
            "settings": dict(state.settings.get(node.name, {})),
            "tuned": tuned,
            "lacking": list(state.lacking.get(node.name, ())),
        }
    )


def keys_of(state: BlockState) -> dict[str, str]:
    """What names this install of the block in object keys."""
    return {"campaign": state.campaign, "block": state.block, "install_id": state.install_id}
