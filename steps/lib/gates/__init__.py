"""The validity gates: each one proves a part of the claim that a cell measured what its name says.

A gate looks at evidence that was read while the cell ran, and says ``pass``, ``fail`` or
``not_applicable``, with what it saw. One ``fail`` makes the measurement ``invalid``. Gates never
look at whether a number is plausible: that would select results.
"""

from steps.lib.gates import companions, document, machine, path, policy, state
from steps.lib.gates.base import Evidence, Finding, Gate

GATES: tuple[Gate, ...] = (
    # What is known before the first packet comes first: it explains what comes after it.
    path.placement,
    path.mtu,
    path.path_mtu,
    state.ports_left,
    state.connections_fresh,
    state.conntrack_room,
    machine.generator_throttled,
    document.tool_version,
    document.document_complete,
    document.document_own,
    machine.clock_steady,
    document.address_family,
    document.address,
    document.rate_stated,
    document.congestion_control,
    document.parameters_agree,
    document.duration,
    document.intervals_enough,
    machine.cpu_window,
    document.rate_offered,
    document.receiver_goodput,
    document.requests_served,
    companions.companions,
    policy.policy,
    path.path_taken,
    path.encryption,
    path.mss,
    state.listen_queue,
    state.conntrack_as_begun,
    state.tuning_in_force,
    state.offloads_unchanged,
    state.plugin_unchanged,
    machine.steal,
    machine.foreign_cpu,
    machine.foreign_wire,
)
"""In the order in which one is blamed, where several fail."""

NOISE = tuple(gate.name for gate in GATES if gate.is_noise)
"""Gates about the machine, not about the cell: failing one is worth another try."""


def check_all(evidence: Evidence) -> list[Finding]:
    """Every gate, in the order of ``GATES``."""
    return [gate(evidence) for gate in GATES]


def first_failure(findings: list[Finding]) -> Finding | None:
    """What to blame: noise before anything else, since it makes other gates fail; else the first.

    Returns:
        None if every gate let the measurement pass.
    """
    failures = [f for f in findings if f.verdict == "fail"]
    return next((f for f in failures if f.gate in NOISE), failures[0] if failures else None)


__all__ = ["GATES", "NOISE", "Evidence", "Finding", "Gate", "check_all", "first_failure"]
