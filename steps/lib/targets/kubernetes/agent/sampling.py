"""Samples of the node's CPUs while a cell is measured, told when it has ended."""

from collections import Counter
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent.readings import pod_of
from steps.lib.targets.sampling import Origin, Sampler

KERNEL, NO_POD = "kernel", ""

_sampler: Sampler | None = None


def start_sampling(frequency_hz: int) -> None:
    """Begin; what an earlier call began, ends."""
    global _sampler
    stop_sampling()
    sampler = Sampler(frequency_hz)
    sampler.start()
    _sampler = sampler


def samples(first_s: float, last_s: float) -> dict[str, Any]:
    """What was seen between two instants of the node's monotonic clock.

    Returns:
        ``names`` of functions, and ``stacks`` as rows of whose it was (a pod by its identifier
        without dashes, ``kernel``, or nothing for a program outside of pods), which functions,
        innermost first, by their places among the names, and how often it was seen.
    """
    if _sampler is None:
        raise RefusedError("CPUs were not sampled all the time: the node's agent was started anew")
    origins: dict[int, Origin] = {}
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    found = _sampler.samples(first_s, last_s)
    origins = _sampler.origins
    for sample in found:
        seen[_owner(sample.pid, origins.get(sample.pid)), sample.frames] += sample.times
    numbers: dict[str, int] = {}
    stacks = [
        [owner, [numbers.setdefault(frame, len(numbers)) for frame in frames], times]
        for (owner, frames), times in seen.items()
    ]
    return {"names": list(numbers), "stacks": stacks}


def stop_sampling() -> None:
    """End. Idempotent."""
    global _sampler
    if _sampler is not None:
        _sampler.stop()
    _sampler = None


def _owner(pid: int, origin: Origin | None) -> str:
    if pid == 0 or (origin is not None and origin.is_kernel_thread):
        return KERNEL
    return (pod_of(origin.groups) if origin else None) or NO_POD
