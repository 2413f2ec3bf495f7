"""The comparison at the end of a run: one line per cell and profile, one column per plugin.

The numbers are those that the question ``fastest-plugin`` answers; only their places are ours.
"""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from cnibench.show import cell, out
from steps.lib.questions import Answer

UNITS = {"throughput_gbits_per_s": "Gbit/s", "transactions_per_s": "1/s"}


def comparison(answered: Answer) -> None:
    """Print medians of all blocks; bold where no candidate is ahead."""
    rows = [dict(zip(answered.columns, row, strict=True)) for row in answered.rows]
    plugins = sorted({r["plugin"] for r in rows}, key=lambda p: (not _is_baseline(rows, p), p))
    table = Table("cell", "profile", "unit", header_style="bold", row_styles=["", "dim"])
    for plugin in plugins:
        table.add_column(plugin, justify="right", no_wrap=False)
    for (name, profile), group in _grouped(rows).items():
        units = {UNITS.get(r["metric"], "") for r in group.values() if r["metric"]}
        values = [_value(group.get(plugin)) for plugin in plugins]
        table.add_row(name, profile, "".join(units), *values)
    out.print("[bold]Median of all blocks[/bold]; bold: nothing else is ahead", highlight=False)
    out.print(table)
    for note in sorted({r["note"] for r in rows if r["note"] and r["blocks"]}):
        out.print(f"note: {note}", highlight=False)


def _value(row: dict[str, Any] | None) -> str:
    if row is None or row["rate_median"] is None:
        return "–"
    text = cell(row["rate_median"])
    return f"[bold]{text}[/bold]" if row["rank"] == 1 else text


def _is_baseline(rows: Iterable[dict[str, Any]], plugin: str) -> bool:
    return any(r["is_baseline"] for r in rows if r["plugin"] == plugin)


def _grouped(
    rows: Iterable[dict[str, Any]],
) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Rows by cell and profile, then by plugin."""
    grouped: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["cell"], row["profile"]), {})[row["plugin"]] = row
    return dict(sorted(grouped.items()))
