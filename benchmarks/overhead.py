"""Wall time of a campaign with 10-second cells, divided by the seconds of traffic in it."""

import tempfile
import time
from pathlib import Path

from benchmarks.report import Figure, finish, options
from steps.lib.catalog import load_job
from steps.lib.executor import run_campaign
from steps.lib.plan import make_plan, run_time_s

CAMPAIGN = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Run the campaign beside this file into a store that is thrown away."""
    arguments = options(__doc__ or "").parse_args()
    job = load_job(CAMPAIGN)
    cells = [cell for _, cell in make_plan(job) if cell.unsupported_reason is None]
    traffic_s = sum(run_time_s(cell.cell.traffic) for cell in cells)
    with tempfile.TemporaryDirectory() as store:
        started = time.monotonic()
        run_campaign(job, store, lambda event: None)
        wall_s = time.monotonic() - started
    figures = [
        Figure("wall time / traffic time", wall_s / traffic_s, "", 1.25),
        Figure("overhead per cell", (wall_s - traffic_s) / len(cells), "s", 2.5),
    ]
    finish(f"overhead of {len(cells)} cells", figures, arguments.json)


if __name__ == "__main__":
    main()
