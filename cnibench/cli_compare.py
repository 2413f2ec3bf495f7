"""The verb ``compare``."""

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnibench import compare_forms, show
from steps.lib.comparing.acknowledged import acknowledge
from steps.lib.comparing.compare import Asked, Comparison
from steps.lib.comparing.compare import compare as compare_sides
from steps.lib.comparing.environments import environments
from steps.lib.comparing.inference import BLOCKS_MAX, blocks_needed, log_sd_of
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.estimate import spread_of
from steps.lib.statistics import TYPICAL_CV_PERCENT
from steps.lib.store import open_store


class Form(StrEnum):
    """Forms of a comparison."""

    table = "table"
    markdown = "markdown"
    json = "json"


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            help="Plugin, profile or campaign, or key=value,... with plugin, version, profile, "
            "kernel, campaign, store; the first is what the others are judged by"
        ),
    ],
    store: Annotated[
        str,
        typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
    ] = "results",
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Default: the rate of each cell")
    ] = None,
    margin: Annotated[
        float | None, typer.Option("--margin", help="Percent that count as equal, all metrics")
    ] = None,
    link: Annotated[
        float | None,
        typer.Option("--link", help="Gbit/s of the link: cells that fill it are compared by CPU"),
    ] = None,
    label_environments: Annotated[
        bool,
        typer.Option("--label-environments", help="Compare across fingerprints, and say so"),
    ] = False,
    known: Annotated[
        Path | None, typer.Option("--known", help="File of known changes, which fail nothing")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail unless everything is equal or improved")
    ] = False,
    form: Annotated[Form, typer.Option("--format", help="Form of the answer")] = Form.table,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML to this file too")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file too")
    ] = None,
) -> None:
    """Compare two or more sides cell by cell; exit status 1 if one regressed or was lost."""
    for name, value in (("--margin", margin), ("--link", link)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value}: write a number above 0")
    asked = Asked(
        tuple(metric or ()), margin, None if link is None else link * 1e9, label_environments
    )
    compared = compare_sides(sides, store, asked)
    if known:
        lines = acknowledge(compared.lines, known, datetime.now(UTC).date())
        compared = replace(compared, lines=lines)
    if junit:
        _write("--junit", junit, compare_forms.junit(compared, strict))
    if html:
        from cnibench.report import comparison_page  # Loads matplotlib.

        _write("--html", html, comparison_page(compared, environments(compared.sides)))
    _print(compared, form)
    if compare_forms.comparison_fails(compared, strict):
        raise typer.Exit(1)


def _write(option: str, file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{option} {file}: cannot be written ({error.strerror}); nothing was judged by this run"
        ) from error


def show_blocks_needed(difference: str, store: str) -> None:
    """Print how many blocks a side show a difference, as earlier runs vary, else as is published.

    Raises:
        InputError: the difference is no percentage above 0.
    """
    try:
        percent = float(difference.removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent < float("inf"):
        raise InputError(f"--detect {difference!r}: write a percentage above 0, like 5%")
    spread = spread_of(open_database(open_store(store, create=False)))
    source = "as earlier runs in this store vary" if spread else "published, physical machines"
    show.out.print(f"to see {percent:g} % (5 %, power 80 %, one comparison; {source}):")
    for what, cv in (spread or TYPICAL_CV_PERCENT).items():
        blocks = blocks_needed(percent, log_sd_of(cv))
        text = f"more than {BLOCKS_MAX}" if blocks is None else str(blocks)
        show.out.print(
            f"  {what}, varying {cv:.1f} % between blocks: {text} blocks a side",
            highlight=False,
            soft_wrap=True,
        )


def _print(compared: Comparison, form: Form) -> None:
    if form is Form.json:
        typer.echo(compare_forms.as_json(compared))
    elif form is Form.markdown:
        typer.echo(compare_forms.markdown(compared))
    else:
        listed = [compare_forms.cells(line) for line in compared.lines]
        for text in compare_forms.described(compared):
            show.out.print(text, highlight=False, soft_wrap=True)
        show.rows(compare_forms.COLUMNS, listed, show.Format.table)
        show.out.print(compare_forms.summary(compared), highlight=False, soft_wrap=True)
