"""The verb ``history``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cnibench import show
from steps.lib.comparing.history import POINTS_MIN, Change, change_points, read_points
from steps.lib.database import open_database
from steps.lib.store import open_store


def history(
    plugin: Annotated[str, typer.Argument(help="Plugin, by its catalog name")],
    cell: Annotated[str, typer.Argument(help="Cell: path.traffic")],
    profile: Annotated[str, typer.Option("--profile", help="Tuning profile")] = "base",
    metric: Annotated[str, typer.Option("--metric", help="What is followed")] = "throughput",
    store: Annotated[
        str,
        typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
    ] = "results",
    form: Annotated[
        show.Format, typer.Option("--format", help="Form of the answer")
    ] = show.Format.table,
) -> None:
    """Find the campaigns from which on a cell changed, and what differed in them."""
    database = open_database(open_store(store, create=False))
    points, others = read_points(database, plugin, profile, cell, metric)
    changes = change_points(points)
    if form is show.Format.json:
        typer.echo(json.dumps([asdict(change) for change in changes], indent=2))
        return
    listed = [(c.campaign, f"{100 * (c.ratio - 1):+.1f} %", f"{c.p:.3g}", _why(c)) for c in changes]
    show.rows(("first campaign", "change", "p", "what differed"), listed, form)
    if form is show.Format.table:
        few = f"; fewer than {POINTS_MIN} show nothing" if len(points) < POINTS_MIN else ""
        show.out.print(f"{len(changes)} changes in {len(points)} campaigns{few}", highlight=False)
        for kind, count in others.items():
            show.out.print(f"left out: {count} campaigns of {kind}", highlight=False)


def _why(change: Change) -> str:
    parts = [f"{name}: {old or '–'} → {new or '–'}" for name, (old, new) in change.differed.items()]
    return "; ".join(parts) or "nothing that is recorded"
