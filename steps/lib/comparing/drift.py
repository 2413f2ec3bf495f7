"""Drift of the machine between blocks, seen by the reference cells and taken out of the values."""

import math
from collections.abc import Collection, Mapping, Sequence

from steps.lib.comparing.sides import Sample
from steps.lib.statistics import ALPHA

Block = tuple[str, str, str]
"""Store, campaign and block."""


def references(store: str, rows: Sequence[Sample], metric: str) -> dict[Block, list[float]]:
    """Logarithms of what the reference cells of each block measured."""
    found: dict[Block, list[float]] = {}
    for row in rows:
        value = row.values[metric]
        if row.role == "reference" and value is not None:
            found.setdefault((store, row.campaign, row.block), []).append(math.log(value))
    return found


def factors(
    of_blocks: Mapping[Block, list[float]], blocks: Collection[Block]
) -> dict[Block, float]:
    """What each block's values are divided by; empty where no drift shows.

    Drift shows where references differ more between blocks than within them (one-way analysis of
    variance, 5 %), which needs every block to have two. The decision never looks at a result.
    """
    groups = [of_blocks.get(block, []) for block in blocks]
    if len(groups) < 2 or any(len(group) < 2 for group in groups):
        return {}
    if all(max(group) - min(group) < 1e-12 for group in groups):
        return {}
    from scipy import stats  # Takes a second to load.

    if stats.f_oneway(*groups).pvalue >= ALPHA:
        return {}
    means = [sum(group) / len(group) for group in groups]
    level = sum(means) / len(means)
    return {b: math.exp(mean - level) for b, mean in zip(blocks, means, strict=True)}
