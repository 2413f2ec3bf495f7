"""Answers on the terminal: tables for people, CSV and JSON for programs."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from steps.lib.catalog import Catalog
from steps.lib.database import relation_of
from steps.lib.database import sql as run_sql
from steps.lib.errors import InputError
from steps.lib.estimate import Estimate, estimate, rates_of, spread_of
from steps.lib.plan import Plan
from steps.lib.questions import Answer, Question
from steps.lib.statistics import TYPICAL_CV_PERCENT, detectable_percent
from steps.lib.store import Store, measured_cells

LOG_WIDTH = 160
"""Columns of a line where there is no terminal to fit."""

WHOLE_WIDTH = 14
"""Columns of what is never folded: a number of up to ten digits with its commas. Names and
sentences, which may be longer, have as many at least."""

out = Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=LOG_WIDTH)


class Format(StrEnum):
    """Form of an answer."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    parquet = "parquet"


def rows(columns: Sequence[str], values: Iterable[Sequence[Any]], form: Format) -> None:
    """Print rows in the form asked for."""
    if form is Format.csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(values)
    elif form is Format.json:
        records = [dict(zip(columns, row, strict=True)) for row in values]
        json.dump(records, sys.stdout, indent=1, default=str)
        sys.stdout.write("\n")
    elif form is Format.markdown:
        sys.stdout.write(markdown(columns, ([cell(v) for v in row] for row in values)))
    else:
        lines(columns, [[cell(value) for value in row] for row in values], out)


def lines(columns: Sequence[str], values: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table; where its columns do not fit side by side, a row is a line for each of them.

    Rich would leave columns out, from the last one on, which is where remarks stand.
    """
    table = _table(columns, values)
    unlimited = console.options.update(max_width=sys.maxsize)
    if console.measure(table, options=unlimited).minimum <= console.width:
        console.print(table)
        return
    for row in values:
        filled = [(name, each) for name, each in zip(columns, row, strict=True) if each]
        text = "\n".join(f"{name.replace('_', ' ')}: {each}" for name, each in filled)
        console.print(f"{text}\n", highlight=False, markup=False)


def _table(columns: Sequence[str], values: Sequence[Sequence[str]]) -> Table:
    """Short values and their headings are whole; longer ones, names and sentences, are folded."""
    table = Table(
        header_style="bold", row_styles=["", "dim"], box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name, *cells in zip(columns, *values, strict=True):
        longest = max(map(len, cells), default=0)
        is_short = longest <= WHOLE_WIDTH
        table.add_column(
            name.replace("_", "\n" if is_short else " "),
            overflow="fold",
            no_wrap=is_short,
            min_width=min(longest, WHOLE_WIDTH),
        )
    for row in values:
        table.add_row(*row)
    return table


def markdown(columns: Sequence[str], values: Iterable[Sequence[str]]) -> str:
    """A table for a pull request."""
    table = [columns, ["---" for _ in columns], *values]
    rows = (" | ".join(" ".join(c.split()).replace("|", "\\|") for c in row) for row in table)
    return "".join(f"| {row} |\n" for row in rows)


def parquet(relation: duckdb.DuckDBPyRelation) -> None:
    """Write rows to standard output as Parquet, with their types."""
    if sys.stdout.isatty():
        raise InputError("--format parquet is not for a terminal; write it to a file by `> FILE`")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        relation.write_parquet(str(path), compression="zstd")
        sys.stdout.flush()
        sys.stdout.buffer.write(path.read_bytes())


def cell(value: Any) -> str:
    """A value as people read it: four significant digits, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return str(value)


def answer(answered: Answer, form: Format) -> None:
    """The rows of a question; in a table what all rows share is said once, above it."""
    if form is Format.parquet:
        parquet(answered.relation)
        return
    if form is Format.markdown and answered.remark:
        sys.stdout.write(f"> {answered.remark}\n\n")
    if form is not Format.table:
        rows(answered.columns, answered.rows, form)
        return
    out.print(f"[bold]{answered.question.description}[/bold] ({answered.question.grain})")
    if answered.remark:
        out.print(answered.remark, highlight=False, markup=False)
    if not answered.rows:
        out.print("no rows: nothing that was measured answers this; see `cnibench ask coverage`")
        return
    columns = list(zip(*answered.rows, strict=True))
    shared = {n: v[0] for n, v in zip(answered.columns, columns, strict=False) if _all_equal(v)}
    said = [f"{name}: {cell(value)}" for name, value in shared.items() if value is not None]
    if said:
        out.print("; ".join(said), highlight=False)
    kept = [i for i, name in enumerate(answered.columns) if name not in shared]
    values = [[row[i] for i in kept] for row in answered.rows]
    rows([answered.columns[i] for i in kept], values, form)


def _all_equal(values: Sequence[Any]) -> bool:
    return len(values) > 1 and all(v == values[0] for v in values)


def relation(database: duckdb.DuckDBPyConnection, statement: str, form: Format) -> None:
    """The result of any SQL."""
    if form is Format.parquet:
        parquet(relation_of(database, statement))
        return
    columns, values = run_sql(database, statement)
    rows(columns, values, form)


def questions(known: Mapping[str, Question]) -> None:
    """What can be asked."""
    rows(("question", "answers"), [(n, q.description) for n, q in known.items()], Format.table)


def catalog(entries: Catalog) -> None:
    """All that a campaign can name."""
    listed = [
        *(("plugin", p.name, p.title) for p in entries.plugins),
        *(("profile", p.name, p.title) for p in entries.profiles),
        *(("matrix", m.name, f"{m.title}: {len(m.cells)} cells") for m in entries.matrices),
        *(("target", t.name, f"{t.kind}, context {t.context}") for t in entries.targets),
    ]
    rows(("kind", "name", "what it is"), listed, Format.table)


def plan(
    planned: Plan, store: Store, database: duckdb.DuckDBPyConnection, list_cells: bool
) -> None:
    """Every cell by path, what it costs, what it can show."""
    name = planned.job.campaign.name
    done = {b.id: set(measured_cells(store, name, b.id)) for b in planned.blocks}
    if list_cells:
        listed = [(b.order, b.id, c.order, c.id, c.unsupported_reason or "") for b, c in planned]
        rows(("#", "block", "#", "cell", "unsupported because"), listed, Format.table)
    _cost(planned, estimate(planned, done, rates_of(database)))
    _unsupported(planned)
    _detectable(planned.job.campaign.repeats, spread_of(database))


def _cost(planned: Plan, cost: Estimate) -> None:
    campaign = planned.job.campaign
    out.print(
        f"[bold]{campaign.title}[/bold]: {len(planned.job.plugins)} plugins × "
        f"{len(planned.job.profiles)} profiles × {campaign.repeats} repeats = "
        f"{len(planned.blocks)} blocks, seed {campaign.seed}",
        highlight=False,
    )
    counts = ", ".join(f"{n} {what}" for what, n in cost.cells.items())
    out.print(f"cells: {sum(cost.cells.values())} ({counts}), references included")
    out.print(f"wall time: about {_duration(cost.wall_s)} if no try is given up for noise")
    text = f"traffic: {_gigabytes(cost.stated_bytes)} at stated rates"
    if cost.estimated_bytes:
        text += f", about {_gigabytes(cost.estimated_bytes)} unbounded, by earlier runs"
    if cost.unknown_cells:
        text += f"; {cost.unknown_cells} unbounded cells are as fast as the machine"
    out.print(text, highlight=False)


def _unsupported(planned: Plan) -> None:
    """Why cells will not run: most frequent reason first, with the plugins and paths it is of."""
    found: dict[str, list[tuple[str, str]]] = {}
    for block, cell in planned:
        if cell.unsupported_reason:
            place = (block.plugin.name, cell.cell.path)
            found.setdefault(cell.unsupported_reason, []).append(place)
    plugins = {block.plugin.name for block in planned.blocks}
    paths = {cell.cell.path for _, cell in planned}
    for reason, places in sorted(found.items(), key=lambda item: -len(item[1])):
        concerned = (
            _unless_all({plugin for plugin, _ in places}, plugins),
            _unless_all({path for _, path in places}, paths),
        )
        where = "; ".join(filter(None, concerned))
        told = f" ({where})" if where else ""
        text = f"unsupported: {len(places)} cells{told}: {reason}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


def _unless_all(names: AbstractSet[str], of_plan: AbstractSet[str]) -> str:
    return ", ".join(sorted(names)) if names < of_plan else ""


def _detectable(repeats: int, spread: Mapping[str, float]) -> None:
    source = "as earlier runs in this store vary" if spread else "published, physical machines"
    out.print(f"smallest difference {repeats} blocks a side can see (5 %, power 80 %; {source}):")
    for what, cv in (spread or TYPICAL_CV_PERCENT).items():
        percent = detectable_percent(repeats, cv)
        found = "none: one block has no spread" if percent is None else f"{percent:.1f} %"
        out.print(f"  {what}, varying {cv:.1f} % between blocks: {found}", highlight=False)


def _duration(duration_s: float) -> str:
    minutes = round(duration_s / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
