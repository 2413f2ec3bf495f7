"""Identical sides and known differences that really ran on this machine, judged by four rules.

A campaign on network namespaces, its profiles being the sides. It is kept in its store, so a run
that was cut goes on. Numbers are those of a single kernel.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import options
from benchmarks.statistics import RULES
from steps.lib.catalog import Catalog, Folder, load_job
from steps.lib.comparing.compare import Asked, Line, compare
from steps.lib.comparing.inference import Verdict, blocks_needed
from steps.lib.database import open_database, sql
from steps.lib.executor import Event, Start, run_campaign
from steps.lib.models import Matrix, Profile
from steps.lib.store import open_store
from steps.lib.targets.namespaces.layout import Layout
from steps.lib.targets.namespaces.programs import output

HERE = Path(__file__).with_suffix("")
CAMPAIGN = Path(__file__).with_suffix(".yaml")

PAIRS = {
    "identical sides": ("base", "base-again"),
    "1,000 more rules": ("base", "rules-1000"),
    "MTU 1350 for 1450": ("mtu-1450", "mtu-1350"),
    "segmentation offload off": ("base", "offload-off"),
}
"""By what differs: the profiles of both sides."""

RULED = "rules-1000"
TABLE = "inet cnibench_differences"


class OwnCatalog(Catalog):
    """The project's plugins, and the profiles and the matrix beside this file."""

    @property
    def profiles(self) -> Folder[Profile]:
        """Sides."""
        return Folder(HERE / "profiles", Profile)

    @property
    def matrices(self) -> Folder[Matrix]:
        """What is measured."""
        return Folder(HERE / "matrices", Matrix)


def rules() -> str:
    """A table of 1,000 rules that every forwarded packet meets and none matches."""
    lines = (f"ip saddr 203.0.113.{n % 256} tcp dport {n + 1} accept" for n in range(1000))
    body = "\n".join(lines)
    chain = f"chain forward {{ type filter hook forward priority 10; policy accept;\n{body}\n}}"
    return f"table {TABLE} {{\n{chain}\n}}"


class Rules:
    """Puts the rules into the nodes while the cells of a block of that profile run."""

    def __init__(self, layout: Layout) -> None:
        self._namespaces = [layout.namespace(node.name) for node in layout.nodes]
        self._are_in = False

    def follow(self, event: Event | Start) -> None:
        """Act on the stages of a block as they begin."""
        if not isinstance(event, Event) or event.status is not None or event.cell is not None:
            return
        is_wanted = event.stage == "run-cells" and event.block.profile.name == RULED
        if is_wanted and not self._are_in:
            for namespace in self._namespaces:
                output(["nft", rules()], namespace=namespace)
        if self._are_in and not is_wanted:
            for namespace in self._namespaces:
                output(["nft", f"delete table {TABLE}"], namespace=namespace)
        self._are_in = is_wanted


class Judged(NamedTuple):
    """One cell of one pair of sides."""

    pair: str
    line: Line
    needed: int | None
    """Blocks a side that would show ``WANTED_PERCENT`` with the planned power."""
    found: dict[str, bool]
    """Whether each rule sees a difference."""


WANTED_PERCENT = 5.0
OURS = "cnibench compare"

VALUES = """
select cell, profile, list(rate order by repeat)
from comparable
where campaign = 'differences'
group by all
"""
"""Blocks in the order of repeats, as the other rules are given them."""


def judge_pairs(store: str) -> Iterator[Judged]:
    """Judge each pair that has blocks on both sides, by all rules."""
    _, rows = sql(open_database(open_store(store, create=False)), VALUES)
    rates = {(cell, profile): values for cell, profile, values in rows}
    measured = {profile for _, profile in rates}
    for pair, sides in PAIRS.items():
        if not measured.issuperset(sides):
            continue
        # MTU and offloads are part of the environment: here they are what is compared.
        compared = compare(
            [f"campaign=differences,profile={side}" for side in sides],
            store,
            Asked(label_environments=True),
        )
        for line in (line for line in compared.lines if line.effect):
            cell = line.cell_id
            values = [(rates[cell, sides[0]], rates[cell, sides[1]])]
            found = {name: rule(values)[0] for name, rule in RULES.items()}
            found[OURS] = line.verdict in (Verdict.regressed, Verdict.improved)
            assert line.effect
            needed = blocks_needed(WANTED_PERCENT, line.effect.log_sd, compared.family)
            yield Judged(pair, line, needed, found)


def table(judged: list[Judged]) -> str:
    """A Markdown table."""
    head = ["what differs", "cell", "blocks", "change, 95 %", "needed for 5 %", "verdict", *RULES]
    rows = [head, ["---"] * len(head)]
    for pair, line, needed, found in judged:
        effect = line.effect
        assert effect
        percents = [f"{100 * (r - 1):+.1f}" for r in (effect.ratio, effect.low, effect.high)]
        rows.append(
            [
                pair,
                line.cell,
                f"{line.blocks[0]} / {line.blocks[1]}",
                f"{percents[0]} % ({percents[1]} … {percents[2]})",
                "more than can be" if needed is None else str(needed),
                str(line.verdict),
                *("found" if found[name] else "–" for name in RULES),
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def main() -> None:
    """Run what is missing of the campaign, and print how it is judged."""
    parser = options(__doc__ or "")
    parser.add_argument("--store", default="results-differences", help="where blocks are kept")
    parser.add_argument("--judge-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.judge_only:
        job = load_job(CAMPAIGN, OwnCatalog())
        target = job.campaign.target
        rules_in = Rules(Layout(target.name, target.underlay_mtu))

        def follow(event: Event | Start) -> None:
            rules_in.follow(event)
            if isinstance(event, Event) and event.status not in (None, "done", "ok"):
                sys.stderr.write(f"{event.block.id} {event.stage} {event.cell}: {event.status}\n")

        run_campaign(job, arguments.store, follow)
    sys.stdout.write(table(list(judge_pairs(arguments.store))))


if __name__ == "__main__":
    main()
