"""How long, and with how much memory, a campaign of 100,000 cells is planned."""

import resource
import time

from benchmarks.report import Figure, finish, options
from steps.lib.catalog import Job
from steps.lib.estimate import estimate
from steps.lib.models import Campaign, Matrix, Plugin, Profile, TargetSpec
from steps.lib.plan import make_plan, planned_rows

CELLS = 100_000


def large_job() -> Job:
    """20 plugins x 5 profiles x 5 paths x 20 kinds of traffic x 10 repeats."""
    proof = {"carries": ["client:eth0"]}
    paths = ("in-pod", "same-node", "cross-node", "external-service", "host-to-host")
    plugins = tuple(
        Plugin.model_validate(
            {
                "name": f"plugin-{i}",
                "title": f"Plugin {i}",
                "description": "Synthetic.",
                "source": {"name": "none", "version": "0"},
                "targets": ["namespaces"],
                "install": {"mechanism": "host-network"},
                "paths": dict.fromkeys(paths, proof),
            }
        )
        for i in range(20)
    )
    profiles = tuple(
        Profile(name=f"profile-{i}", title=f"Profile {i}", description="Synthetic.")
        for i in range(5)
    )
    traffic = [
        {
            "id": f"tcp-{streams}",
            "kind": "tcp-stream",
            "streams": streams,
            "message_bytes": 131072,
            "congestion_control": "cubic",
            "duration_s": 10,
            "omit_s": 3,
        }
        for streams in range(1, 21)
    ]
    matrix = Matrix.model_validate(
        {"name": "large", "title": "L", "description": "L", "paths": paths, "traffic": traffic}
    )
    campaign = Campaign(
        name="large",
        title="Large",
        target=TargetSpec(kind="namespaces"),
        plugins=tuple(p.name for p in plugins),
        profiles=tuple(p.name for p in profiles),
        matrix="large",
        repeats=10,
        seed=1,
    )
    return Job(campaign=campaign, plugins=plugins, profiles=profiles, matrix=matrix)


def main() -> None:
    """Plan, estimate, and make the rows that are stored."""
    arguments = options(__doc__ or "").parse_args()
    job = large_job()
    started = time.perf_counter()
    plan = make_plan(job)
    estimate(plan, {}, {})
    rows = planned_rows(plan)
    elapsed_s = time.perf_counter() - started
    assert len(rows) == CELLS, f"{len(rows)} cells planned, not {CELLS}"
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = [
        Figure("wall time", elapsed_s, "s", 2.0),
        Figure("peak memory of the process", memory_mb, "MB", 300.0),
    ]
    finish(f"planning {CELLS} cells", figures, arguments.json)


if __name__ == "__main__":
    main()
