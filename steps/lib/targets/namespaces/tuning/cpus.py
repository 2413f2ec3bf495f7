"""Sets of processors: lists as people write them, masks as some files of the kernel want them."""

import re
from itertools import groupby
from pathlib import Path

from steps.lib.errors import RefusedError

ALL, NONE = "all", "none"


def online(sys: Path) -> set[int]:
    """Processors that are in use; their numbers may have gaps."""
    return named((sys / "devices/system/cpu/online").read_text().strip())


def parse(text: str, there: set[int]) -> list[int]:
    """Processors of a list such as ``0-3,8``, ``all`` or ``none``.

    Raises:
        RefusedError: it names a processor that the node does not have in use.
    """
    chosen = there if text == ALL else named(text)
    if chosen - there:
        raise RefusedError(f"there is no processor {shown(chosen - there)} but {shown(there)} only")
    return sorted(chosen)


def named(text: str) -> set[int]:
    """Processors of a list such as ``0-3,8`` or ``none``, whether they are there or not."""
    ends = [part.partition("-") for part in text.split(",")] if text != NONE else []
    return {cpu for a, _, b in ends for cpu in range(int(a), int(b or a) + 1)}


def shown(cpus: set[int] | list[int]) -> str:
    """As a list, the shortest way: ``0-3,8``."""
    runs = groupby(enumerate(sorted(cpus)), lambda pair: pair[1] - pair[0])
    spans = [[cpu for _, cpu in run] for _, run in runs]
    return ",".join(f"{s[0]}-{s[-1]}" if s[1:] else str(s[0]) for s in spans) or NONE


def of_mask(text: str) -> str:
    """The list of a mask as the kernel shows it: ``00000000,0000000f`` is ``0-3``."""
    mask = int(re.sub(r"[,\s]", "", text), 16)
    return shown([cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1])


def to_mask(text: str) -> str:
    """The mask of a list, in groups of 32 as the kernel reads them."""
    mask = sum(1 << cpu for cpu in named(text))
    digits = f"{mask:x}"
    digits = digits.zfill(-(-len(digits) // 8) * 8)
    return ",".join(digits[i : i + 8] for i in range(0, len(digits), 8))
