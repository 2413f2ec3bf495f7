"""The comparison at the end of a run: one line per cell, one column per plugin.

The numbers are those that the question ``fastest-plugin`` answers; only their places are ours.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table

from cnibench.show import out
from steps.lib.questions import Answer

SHOWN = {"throughput_gbits_per_s": ("Gbit/s", 1.0), "transactions_per_s": ("1000/s", 1000.0)}
"""By metric: unit on the terminal, and what the stored value is divided by for it."""


def comparison(answered: Answer) -> None:
    """Print medians of all blocks, a table for each profile; bold where no candidate is ahead."""
    rows = [dict(zip(answered.columns, row, strict=True)) for row in answered.rows]
    plugins = sorted({r["plugin"] for r in rows}, key=lambda p: (not _is_baseline(rows, p), p))
    for profile in sorted({r["profile"] for r in rows}):
        out.print(_table(profile, plugins, [r for r in rows if r["profile"] == profile]))
    out.print("Medians of all blocks. Bold: nothing is ahead. –: no number, see below.")
    notes = Counter(r["note"] for r in rows if r["note"])
    for note, count in notes.most_common():
        out.print(f"{count} of {len(rows)}: {note}", highlight=False)


def _table(profile: str, plugins: Sequence[str], rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        title=f"profile {profile}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("cell", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for plugin in plugins:
        words = plugin.split("-")
        table.add_column(" ".join(words), justify="right", min_width=max(map(len, words)))
    for path, of_path in groupby(sorted(rows, key=_place), key=lambda r: str(r["path"])):
        table.add_row(f"[bold]{path}[/bold]")
        for name, of_cell in groupby(of_path, key=lambda r: str(r["cell"])):
            group = {r["plugin"]: r for r in of_cell}
            unit = next((SHOWN[r["metric"]][0] for r in group.values() if r["metric"] in SHOWN), "")
            values = [_value(group.get(plugin)) for plugin in plugins]
            table.add_row(f"  {name.removeprefix(f'{path}.')}", unit, *values)
    return table


def _place(row: dict[str, Any]) -> tuple[str, str]:
    return str(row["path"]), str(row["cell"])


def _value(row: dict[str, Any] | None) -> str:
    if row is None or row["rate_median"] is None:
        return "–"
    value = row["rate_median"] / SHOWN[row["metric"]][1]
    text = f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"[bold]{text}[/bold]" if row["rank"] == 1 else text


def _is_baseline(rows: Iterable[dict[str, Any]], plugin: str) -> bool:
    return any(r["is_baseline"] for r in rows if r["plugin"] == plugin)
