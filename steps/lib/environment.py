"""The environment of a row: what must be equal for two numbers to be comparable."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict

from steps.lib.tables import METHOD_VERSION
from steps.lib.targets.protocol import Target
from steps.lib.tuning import kept_settings

VOLATILE = ("boot_id", "memory_bytes")
"""Facts that change from boot to boot without changing what a number means."""

COMPARED = ("kube_proxy_mode",)
"""Facts whose effect is asked for: plugins that take kube-proxy's place, and its modes."""


def environment_fingerprint(target: Target) -> str:
    """sha256 of kernel, processors, tools, underlay, untuned settings and method of all nodes.

    Taken before tuning, so that it is the same for all profiles, and another where somebody, or a
    run that was killed, left other settings in force.
    """
    nodes = [
        {k: v for k, v in asdict(target.facts(node)).items() if k not in (*VOLATILE, *COMPARED)}
        for node in target.nodes()
    ]
    facts = {
        "class": target.environment_class,
        "method": METHOD_VERSION,
        "nodes": nodes,
        "settings": kept_settings(target),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def nominal_hz(target: Target) -> Callable[[str], float | None]:
    """Gives the nominal frequency of a node's CPUs, where the node tells it.

    Where nodes are namespaces of one machine, readings are of that machine and not of a node: it is
    every node's then.
    """
    nodes = target.nodes()
    known = {node.name: target.facts(node).cpu_nominal_hz for node in nodes}
    return lambda name: known.get(name, known[nodes[0].name])
