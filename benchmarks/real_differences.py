"""Whether comparisons find differences that were put in for real, and none where there is none.

One plugin runs on the embedded target with profiles that change one thing each, in randomised
blocks. Sides: the same profile under two names; 1,000 more rules in the way of what is forwarded;
MTU 1450 against 1350; TSO off. Every pair is judged by `cnibench compare` and by the rules of
others (``benchmarks/statistics.py``). A limit on CPU cannot be put in: the gate of throttled
generators refuses such cells.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.statistics import RULES
from cnibench import show
from steps.lib.catalog import CATALOG, Job, load_job
from steps.lib.comparing.compare import Asked, Line, compare
from steps.lib.database import open_database
from steps.lib.executor import Event, Start, run_campaign
from steps.lib.store import open_store
from steps.lib.targets.namespaces.layout import Layout

FOLDER = Path(__file__).with_name("differences")
PAIRS = (
    ("base", "base-again", "none"),
    ("base", "rules-1000", "1,000 more rules"),
    ("mtu-1450", "mtu-1350", "MTU 1350 for 1450"),
    ("base", "tso-off", "TSO off"),
)
"""First side, second side, and what differs."""

WITH_RULES = "rules-1000"
TABLE = "ip differences"
RULES_NFT = "\n".join(
    [
        f"add table {TABLE}",
        f"add chain {TABLE} forward {{ type filter hook forward priority 0; }}",
        *(
            f"add rule {TABLE} forward ip saddr 192.0.2.{n % 250} tcp dport {n + 1} drop"
            for n in range(1000)
        ),
    ]
)
"""192.0.2.0/24 is for documentation (RFC 5737): nothing here has such an address."""


@contextmanager
def catalog() -> Iterator[None]:
    """The catalog with the files of this benchmark beside its own."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(CATALOG, folder, dirs_exist_ok=True)
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        os.environ["CNIBENCH_CATALOG"] = folder
        yield


class Rules:
    """Puts the rules into the nodes while the cells of their profile are measured."""

    def __init__(self, job: Job) -> None:
        target = job.campaign.target
        layout = Layout(target.name, target.underlay_mtu)
        self._namespaces = [layout.namespace(node.name) for node in layout.nodes]

    def __call__(self, event: Event | Start) -> None:
        """Take one event of the campaign."""
        if isinstance(event, Start) or event.status is not None:
            return
        if event.stage == "plan-cells" and event.block.profile.name == WITH_RULES:
            self._nft(RULES_NFT)
        elif event.stage == "remove-plugin" and event.block.profile.name == WITH_RULES:
            self._nft(f"delete table {TABLE}")

    def _nft(self, script: str) -> None:
        for namespace in self._namespaces:
            command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
            subprocess.run(command, input=script, text=True, check=True)


def values(store: str, profile: str, cell: str) -> list[float]:
    """Rates of a side, in the order in which they were measured."""
    rows = open_database(open_store(store)).execute(
        "select coalesce(throughput_bits_per_s, transactions_per_s) from measurements "
        "where status = 'ok' and profile = ? and cell = ? order by started_at",
        [profile, cell],
    )
    return [float(row[0]) for row in rows.fetchall()]


def judged(store: str, first: str, second: str, what: str) -> Iterator[Sequence[str]]:
    """A line for each cell of a pair: by us, then by the rules of others."""
    compared = compare([f"profile={first}", f"profile={second}"], store, Asked())
    for line in compared.lines:
        cell = line.cell.split()[-1]
        sides = [(values(store, first, cell), values(store, second, cell))]
        others = [
            "alarm" if rule(sides)[0] else "–"
            for name, rule in RULES.items()
            if name != "cnibench compare"
        ]
        yield (what, cell, f"{line.blocks[0]} / {line.blocks[1]}", *_ours(line), *others)


def _ours(line: Line) -> tuple[str, str]:
    effect = line.effect
    if effect is None:
        return "–", f"{line.verdict} {line.reason}"
    low, middle, high = (100 * (x - 1) for x in (effect.low, effect.ratio, effect.high))
    return f"{middle:+.1f} % ({low:+.1f} … {high:+.1f})", f"{line.verdict} {line.reason}"


def main() -> None:
    """Run what is missing in the store, and judge."""
    store = os.environ.get("CNIBENCH_DIFFERENCES_STORE", "results-differences")
    with catalog():
        job = load_job(FOLDER / "campaign.yaml")
        run_campaign(job, store, Rules(job))
    heads = ("difference", "cell", "blocks", "change, 95 %", *RULES)
    show.rows(heads, [row for pair in PAIRS for row in judged(store, *pair)], show.Format.table)


if __name__ == "__main__":
    main()
