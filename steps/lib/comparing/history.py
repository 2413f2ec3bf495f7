"""Change points of one candidate's cell over many campaigns.

The largest step is looked for, proven by permutation, and then the same on either side of it
(binary segmentation). A campaign is one point, the mean of the logarithms of its blocks.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from steps.lib.comparing.metrics import find_metrics
from steps.lib.documents import suggest
from steps.lib.errors import InputError

if TYPE_CHECKING:
    import numpy as np

POINTS_MIN = 10
"""Fewer campaigns show no change that could be trusted."""

PERMUTATIONS = 1999
LEVEL = 0.01
SEGMENT_MIN = 3

IMPORTED = "imported"
FACTS = (
    "kernel", "plugin_version", "plugin_fingerprint", "environment_fingerprint", "toolbox",
    "kube_proxy_mode",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One campaign: its value, and what of its environment can explain it."""

    campaign: str
    value: float
    facts: Mapping[str, str | None]


@dataclass(frozen=True)
class Change:
    """A step: the first campaign after it, its size, and what differs from the one before."""

    campaign: str
    ratio: float
    p: float
    differed: Mapping[str, tuple[str | None, str | None]]


def change_points(points: Sequence[Point]) -> list[Change]:
    """Steps in the order of the campaigns; none where there are fewer than ``POINTS_MIN``.

    The permutations are the same for the same number of points.
    """
    if len(points) < POINTS_MIN:
        return []
    logs = [math.log(point.value) for point in points]
    edges = sorted(_split(logs, 0, len(logs)))
    bounds = [0, *(place for place, _ in edges), len(logs)]
    changes = []
    for n, (place, p) in enumerate(edges):
        before, after = logs[bounds[n] : place], logs[place : bounds[n + 2]]
        ratio = math.exp(sum(after) / len(after) - sum(before) / len(before))
        changes.append(
            Change(points[place].campaign, ratio, p, _differed(points[place - 1], points[place]))
        )
    return changes


def read_points(
    database: duckdb.DuckDBPyConnection, plugin: str, profile: str, cell: str, metric: str
) -> tuple[list[Point], dict[str, int]]:
    """Campaigns of one candidate and cell, from the first to the last, and those left out.

    All are of one environment class and one version of the method, those of the latest campaign
    that is not imported: a step between two kinds of numbers is no change of the plugin.

    Returns:
        The points; and the number of campaigns of each other kind, by a description of it.

    Raises:
        InputError: there is no such plugin, profile, cell or metric.
    """
    (found,) = find_metrics((metric,))
    for column, name in (("plugin", plugin), ("profile", profile), ("cell", cell)):
        rows = database.execute(f"select distinct {column} from measurements").fetchall()
        known = tuple(str(row[0]) for row in rows)
        if name not in known:
            hint = suggest(name, known) if known else "the store holds no rows"
            raise InputError(f"{column} {name!r} is not in the store; {hint}")
    rows = database.execute(_POINTS.format(sql=found.sql), [plugin, profile, cell]).fetchall()
    kinds = [f"{class_ or 'unknown class'}, method {method}" for class_, method, *_ in rows]
    latest = next(
        (k for k, row in zip(kinds[::-1], rows[::-1], strict=True) if row[0] != IMPORTED), None
    )
    latest = latest or (kinds[-1] if kinds else None)
    points = [
        Point(row[2], row[3], dict(zip(FACTS, row[4:], strict=True)))
        for kind, row in zip(kinds, rows, strict=True)
        if kind == latest
    ]
    return points, dict(Counter(kind for kind in kinds if kind != latest))


_POINTS = """
with valued as (
    select *, ({sql})::double as value
    from measurements
    where status = 'ok' and role = 'cell' and plugin = ? and profile = ? and cell = ?
),
node as (
    select
        campaign, install_id, any_value(kernel) as kernel, any_value(toolbox_digest) as toolbox,
        any_value(kube_proxy_mode) as kube_proxy_mode
    from nodes
    group by all
)
select
    valued.environment_class, coalesce(method_version, 0),
    campaign, exp(avg(ln(value))), max(kernel), max(plugin_version),
    max(valued.plugin_fingerprint), max(valued.environment_fingerprint), max(toolbox),
    max(kube_proxy_mode)
from valued
left join blocks using (campaign, install_id)
left join node using (campaign, install_id)
left join campaigns using (campaign)
anti join blocks_drifted using (campaign, install_id)
where isfinite(value) and value > 0
group by campaign, created_at, valued.environment_class, method_version
order by created_at nulls first, campaign
"""


def _split(logs: list[float], start: int, end: int) -> list[tuple[int, float]]:
    part = logs[start:end]
    if len(part) < 2 * SEGMENT_MIN or max(part) - min(part) < 1e-12:
        return []
    import numpy as np  # Most verbs do not need it.

    values = np.array([part])
    dice = np.random.default_rng(len(part))
    shuffled = dice.permuted(np.repeat(values, PERMUTATIONS, axis=0), axis=1)
    steps = _steps(values)[0]
    place = SEGMENT_MIN + int(steps.argmax())
    as_large = int((_steps(shuffled).max(axis=1) >= steps.max() * (1 - 1e-9)).sum())
    p = (as_large + 1) / (PERMUTATIONS + 1)
    if p > LEVEL:
        return []
    middle = start + place
    return [*_split(logs, start, middle), (middle, p), *_split(logs, middle, end)]


def _steps(rows: "np.ndarray") -> "np.ndarray":
    """For each row and place of a step: the weighted squared difference of the means beside it."""
    import numpy as np

    count = rows.shape[1]
    sizes = np.arange(SEGMENT_MIN, count - SEGMENT_MIN + 1)
    left = rows.cumsum(axis=1)[:, sizes - 1]
    gaps = left / sizes - (rows.sum(axis=1, keepdims=True) - left) / (count - sizes)
    steps: np.ndarray = gaps**2 * sizes * (count - sizes) / count
    return steps


def _differed(before: Point, after: Point) -> dict[str, tuple[str | None, str | None]]:
    return {
        name: (before.facts[name], after.facts[name])
        for name in before.facts
        if before.facts[name] != after.facts[name]
    }
