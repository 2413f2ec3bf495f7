"""What it costs to look for plain text on the wire while a cell runs (gate ``encryption``).

One cell of the embedded target is run again and again, in turn with and without the watch. Its
devices encrypt nothing: every frame that is looked at is readable, and is looked at to its end.
"""

from contextlib import AbstractContextManager

from benchmarks.cycles import PATH, PLUGIN, Run, cost, not_watching, quiet_run
from benchmarks.report import finish, options
from steps.lib import tools
from steps.lib.catalog import Catalog
from steps.lib.models import TargetSpec
from steps.lib.reading import Ends
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.wire import Between


def main() -> None:
    """Run the cell, print the ratios."""
    parser = options(__doc__ or "")
    parser.add_argument("--runs", type=int, default=20, help="runs with, and as many without")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run")
    arguments = parser.parse_args()
    target = NamespacesTarget(TargetSpec(kind="namespaces", name="bench"), tools.toolbox())
    target.prepare()
    found: tuple[list[Run], list[Run]] = ([], [])
    try:
        target.install(Catalog().plugins.load(PLUGIN), "benchmark")
        for number in range(arguments.runs):
            for watched in (number % 2, 1 - number % 2):
                way = _watching if watched else not_watching
                found[watched].append(quiet_run(target, 0, arguments.seconds, way))
    finally:
        target.save_state(None)
        target.discard()
    title = f"watch, {PATH} of {PLUGIN}, {arguments.runs} runs of {arguments.seconds} s"
    finish(title, cost("the watch", *found), arguments.json)


def _watching(target: NamespacesTarget, ends: Ends) -> AbstractContextManager[object]:
    client, server = ends.client, ends.server
    between = Between(client.address, server.address, client.node.address, server.node.address)
    return target.watching(client.node, between)


if __name__ == "__main__":
    main()
