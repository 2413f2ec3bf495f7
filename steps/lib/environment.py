"""The environment of a row: what must be equal for two numbers to be comparable."""

import hashlib
import json
from dataclasses import asdict

from steps.lib.tables import METHOD_VERSION
from steps.lib.targets.protocol import Target

VOLATILE = ("boot_id",)
"""Facts that change without changing what a number means; kept in the ``nodes`` table."""


def environment_fingerprint(target: Target) -> str:
    """sha256 of kernel, processors, memory, tools, underlay and method of all nodes."""
    nodes = [
        {k: v for k, v in asdict(target.facts(node)).items() if k not in VOLATILE}
        for node in target.nodes()
    ]
    facts = {"class": target.environment_class, "method": METHOD_VERSION, "nodes": nodes}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
