"""Samples of CPUs by component: what part of the data path a stack of the kernel belongs to."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import cache

from steps.lib.catalog import CATALOG
from steps.lib.documents import read_yaml, validate
from steps.lib.models import CpuComponents
from steps.lib.targets.observations import Stack

FILE = "cpu-components.yaml"
UNKNOWN = "other"


class Classifier:
    """Tells the component of a stack, by the rules of a ``CpuComponents`` document."""

    def __init__(self, rules: CpuComponents) -> None:
        self._interrupts = _any_of(rules.interrupts)
        self._components = [
            (c.name, _any_of([*c.symbols, *(f"* [[]{m}]" for m in c.modules)]))
            for c in rules.components
        ]
        self._of_frame = cache(self._search)

    def component(self, stack: Stack) -> str:
        """Name of the component.

        Work of a stranger, of the plugin's processes and of our own program is theirs, in the
        kernel too, but not what interrupts and softirqs did meanwhile. The traffic tool's system
        calls are the data path: only its code in user space is its own.
        """
        if stack.owner not in ("kernel", "tool") and not self._is_interrupt(stack.frames):
            return stack.owner
        if not stack.frames:
            return stack.owner if stack.owner != "kernel" else UNKNOWN
        return next(filter(None, map(self._of_frame, stack.frames)), UNKNOWN)

    def count(self, stacks: Mapping[Stack, int]) -> dict[str, int]:
        """Samples by component; those of ``idle`` are in it too."""
        counts: Counter[str] = Counter()
        for stack, samples in stacks.items():
            counts[self.component(stack)] += samples
        return dict(counts)

    def _is_interrupt(self, frames: Sequence[str]) -> bool:
        return any(self._interrupts.fullmatch(_function(frame)) for frame in frames)

    def _search(self, frame: str) -> str | None:
        """Component of a frame, ``name`` or ``name [module]``."""
        for name, pattern in self._components:
            if pattern.fullmatch(frame) or pattern.fullmatch(_function(frame)):
                return name
        return None


@cache
def rules() -> CpuComponents:
    """Those of the catalog.

    Raises:
        InputError: the file is wrong.
    """
    path = CATALOG / FILE
    return validate(CpuComponents, read_yaml(path), path)


@cache
def classifier() -> Classifier:
    """The one by the catalog's rules."""
    return Classifier(rules())


def _function(frame: str) -> str:
    return frame.partition(" ")[0]


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
