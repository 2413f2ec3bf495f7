"""Samples of the machine's CPUs, each with the word whose thread it was."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from steps.lib.errors import RefusedError
from steps.lib.targets.namespaces.cgroups import Groups
from steps.lib.targets.observations import CpuTimes, NotSampled, Owner, Sampled, Sampling, Stack
from steps.lib.targets.sampling import Origin, Sampler


@contextmanager
def sampling(groups: Groups, frequency_hz: int) -> Iterator[Sampling]:
    """Sample until the end of the block; not at all if the frequency is 0."""
    if frequency_hz == 0:
        yield NotSampled("sampling is off: the matrix says cpu_sampling_hz 0")
        return
    sampler = Sampler(frequency_hz)
    try:
        yield _begun(sampler, groups)
    finally:
        sampler.stop()


def _begun(sampler: Sampler, groups: Groups) -> Sampling:
    try:
        sampler.start()
    except RefusedError as error:
        return NotSampled(str(error))
    return MachineSampling(sampler, groups)


@dataclass(frozen=True)
class MachineSampling:
    """The samples of one kernel (``observations.Sampling``)."""

    sampler: Sampler
    groups: Groups

    def between(self, first: CpuTimes, last: CpuTimes) -> Sampled:
        """What was seen between two readings of this machine."""
        (begin,), (end,) = first.instants.values(), last.instants.values()
        try:
            samples = self.sampler.samples(begin.at_s, end.at_s)
        except RefusedError as error:
            return Sampled(reason=str(error))
        origins = self.sampler.origins
        stacks: Counter[Stack] = Counter()
        for sample in samples:
            owner = self._owner(sample.pid, origins.get(sample.pid))
            stacks[Stack(owner, sample.frames)] += sample.times
        return Sampled(stacks)

    def _owner(self, pid: int, origin: Origin | None) -> Owner:
        """Plugins have no processes of their own here; what is not known is a stranger's."""
        if pid == 0 or (origin and origin.is_kernel_thread):
            return "kernel"
        if origin and f":/{self.groups.name}/" in origin.groups:
            return "tool"
        ours = os.getpid()
        if pid == ours or (origin and origin.parent == ours):
            return "cnibench"
        return "foreign"
