"""Wall time of a campaign with 10-second cells against its seconds of traffic; what gates cost."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.report import Figure, finish, options
from steps import run_cells
from steps.lib import evidence, gates
from steps.lib.catalog import load_job
from steps.lib.executor import run_campaign
from steps.lib.plan import make_plan, run_time_s

CAMPAIGN = Path(__file__).with_suffix(".yaml")

OF_GATES: tuple[tuple[ModuleType, str], ...] = (
    (evidence, "probe_path_mtu"),
    (evidence, "look_before"),
    (evidence, "look_after"),
    (evidence, "fingerprint"),
    (gates, "check_all"),
)
"""Everything that is done for gates alone. Two settings that are columns too are in it."""

OF_CELLS = (run_cells, "measure")


@contextmanager
def stopwatch(functions: tuple[tuple[ModuleType, str], ...]) -> Iterator[dict[str, float]]:
    """Seconds spent in functions, by their names, as long as the block lasts."""
    spent_s: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent_s[name] += time.perf_counter() - started

        return run

    originals = [(module, name, getattr(module, name)) for module, name in functions]
    for module, name, original in originals:
        setattr(module, name, timed(name, original))
    try:
        yield spent_s
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def main() -> None:
    """Run the campaign beside this file into a store that is thrown away."""
    arguments = options(__doc__ or "").parse_args()
    job = load_job(CAMPAIGN)
    cells = [cell for _, cell in make_plan(job) if cell.unsupported_reason is None]
    traffic_s = sum(run_time_s(cell.cell.traffic) for cell in cells)
    with tempfile.TemporaryDirectory() as store, stopwatch((*OF_GATES, OF_CELLS)) as spent_s:
        started = time.monotonic()
        run_campaign(job, store, lambda event: None)
        wall_s = time.monotonic() - started
    cells_s = spent_s.pop(OF_CELLS[1])
    figures = [
        Figure("wall time / traffic time", wall_s / traffic_s, "", 1.25),
        Figure("overhead per cell", (wall_s - traffic_s) / len(cells), "s", 2.5),
        Figure("gates / cell time", sum(spent_s.values()) / cells_s, "", 0.02),
        *(Figure(f"{n} / cell time", s / cells_s, "", 0.02) for n, s in spent_s.items()),
    ]
    finish(f"overhead of {len(cells)} cells", figures, arguments.json)


if __name__ == "__main__":
    main()
