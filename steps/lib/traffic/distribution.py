"""Percentiles of a tool's histogram, whose buckets are the same in every run."""

from collections.abc import Sequence

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


def percentile(
    histogram: Sequence[tuple[int, int, int]], percent: float, shortest: float, longest: float
) -> float:
    """Straight within its bucket: off by less than the bucket's width, 0.8 % or one unit.

    Never outside of what was seen: the last bucket ends at the longest transaction.

    Args:
        histogram: Lower edge, upper edge (exclusive) and count of each bucket, in order.
        percent: Which one.
        shortest: What was seen, in the unit of the edges.
        longest: Likewise.
    """
    rank = percent / 100 * sum(count for _, _, count in histogram)
    seen = 0
    for low, high, count in histogram:
        if seen + count >= rank:
            inside = low + (high - low) * (rank - seen) / count
            return min(max(inside, shortest), longest)
        seen += count
    raise AssertionError("a histogram holds all that it is made of")
