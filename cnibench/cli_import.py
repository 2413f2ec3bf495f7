"""The verb ``import``: results that others published, or that one has from before."""

from pathlib import Path
from typing import Annotated

import typer

from cnibench import show
from steps.lib.documents import read_yaml, validate
from steps.lib.errors import InputError
from steps.lib.imports import FORMS, Names, read_results, store_import
from steps.lib.store import open_store


def import_results(
    path: Annotated[
        Path, typer.Argument(help="File or folder of results; the form is found by content")
    ],
    campaign: Annotated[str, typer.Option("--campaign", help="Name for what is imported")],
    store: Annotated[
        str,
        typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
    ] = "results",
    plugin: Annotated[str | None, typer.Option("--plugin", help="Plugin of all runs")] = None,
    of_path: Annotated[
        str | None, typer.Option("--path", help="Who talks to whom in all runs, as cross-node")
    ] = None,
    cell: Annotated[str | None, typer.Option("--cell", help="Cell of all runs")] = None,
    names: Annotated[
        Path | None,
        typer.Option("--names", help="File that finds plugin, run, cell in the names of files"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help=f"In the place of content: {', '.join(FORMS)}, ..."),
    ] = None,
) -> None:
    """Bring published results into the store, labelled as imported, in a campaign of their own."""
    if not path.exists():
        raise InputError(f"{path}: is not there")
    stated = validate(Names, read_yaml(names), names) if names else Names()
    options = {"plugin": plugin, "path": of_path, "cell": cell}
    stated = stated.model_copy(update={k: v for k, v in options.items() if v is not None})
    found = read_results(path, stated, form)
    outcome = store_import(open_store(store), campaign, found)
    counts = ", ".join(f"{n} {status}" for status, n in sorted(outcome.statuses.items()))
    show.out.print(
        f"{path}: {found.form}, {len(found.runs)} runs ({counts}), {outcome.new} new",
        highlight=False,
        soft_wrap=True,
    )
    for run in found.runs:
        if run.status != "ok":
            typer.echo(f"{run.status}: {run.where}: {run.reason}", err=True)
    for place in found.left_out:
        typer.echo(f"left out: {path} {place}", err=True)
