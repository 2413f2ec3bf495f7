"""The verb ``import``: results that others published, or that one has from before."""

from pathlib import Path

import typer

from steps.lib.imports import read_csv, store_import
from steps.lib.store import open_store


def import_results(path: Path, campaign: str, store: str) -> None:
    """Bring a file into the store and say what became of it."""
    found = read_csv(path)
    outcome = store_import(open_store(store), campaign, found)
    counts = ", ".join(f"{n} {status}" for status, n in sorted(outcome.statuses.items()))
    typer.echo(f"{path}: {found.form}, {len(found.runs)} runs ({counts}), {outcome.new} new")
    for place in found.left_out:
        typer.echo(f"left out: {path} {place}", err=True)
