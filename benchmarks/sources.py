"""The matrices named after published sources, really run here in short, beside their figures.

A campaign each on network namespaces, named after its source; cells take a few seconds, where the
sources had 30 or 60. Campaigns are kept in their store, so a run that was cut goes on. Numbers are
those of a single kernel.
"""

import sys

from benchmarks.report import options
from cnibench import show
from steps.lib.catalog import Catalog, Job
from steps.lib.database import open_database
from steps.lib.executor import Event, Start, run_campaign
from steps.lib.models import Campaign, Matrix, TargetSpec, Traffic
from steps.lib.questions import ask
from steps.lib.store import open_store

SOURCES = ("infrabuilder-2024", "qi-2020", "cilium-2021", "dakic-2024")
PLUGINS = ("host-network", "bridge-vxlan")
PROFILES = ("base",)
QUESTIONS = ("coverage", "beside-published")


def shortened(matrix: Matrix, seconds_max: int) -> Matrix:
    """The same cells, none of them longer; the reference too."""

    def short(traffic: Traffic) -> Traffic:
        return traffic.model_copy(update={"duration_s": min(traffic.duration_s, seconds_max)})

    reference = matrix.reference and short(matrix.reference)
    traffic = tuple(map(short, matrix.traffic))
    return matrix.model_copy(update={"traffic": traffic, "reference": reference})


def job(source: str, seconds_max: int, repeats: int) -> Job:
    """The source's campaign."""
    catalog = Catalog()
    matrix = shortened(catalog.matrices.load(source), seconds_max)
    return Job(
        campaign=Campaign(
            name=source,
            title=f"{matrix.title}, cells of at most {seconds_max} s",
            target=TargetSpec(kind="namespaces", name="sources"),
            plugins=PLUGINS,
            profiles=PROFILES,
            matrix=source,
            repeats=repeats,
            seed=1,
        ),
        plugins=tuple(catalog.plugins.load(name) for name in PLUGINS),
        profiles=tuple(catalog.profiles.load(name) for name in PROFILES),
        matrix=matrix,
    )


def follow(event: Event | Start) -> None:
    """Say what went wrong."""
    if isinstance(event, Event) and event.status not in (None, "done", "ok"):
        sys.stderr.write(f"{event.block.id} {event.stage} {event.cell}: {event.status}\n")


def main() -> None:
    """Run what is missing of each campaign, then ask what became of it."""
    parser = options(__doc__ or "")
    parser.add_argument("sources", nargs="*", default=SOURCES, help=f"of {', '.join(SOURCES)}")
    parser.add_argument("--store", default="results-sources", help="where campaigns are kept")
    parser.add_argument("--seconds", type=int, default=3, help="of each cell, at most")
    parser.add_argument("--repeats", type=int, default=2, help="independent blocks each")
    arguments = parser.parse_args()
    for source in arguments.sources:
        run_campaign(job(source, arguments.seconds, arguments.repeats), arguments.store, follow)
        database = open_database(open_store(arguments.store, create=False))
        for question in QUESTIONS:
            show.answer(ask(database, question, source), show.Format.table)


if __name__ == "__main__":
    main()
