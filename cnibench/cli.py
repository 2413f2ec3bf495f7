"""The verbs of ``cnibench``. Each one only reads its options and shows what ``steps`` answers.

What takes a second or more to load (Hera, matplotlib) is imported by the verb that needs it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cnibench import show
from cnibench.cli_collect import collect
from cnibench.cli_compare import compare, show_blocks_needed
from cnibench.cli_features import features as show_features
from cnibench.cli_history import history
from cnibench.cli_import import import_results
from cnibench.cli_sql import sql
from cnibench.comparison import comparison
from steps.lib import ending, locking, sources
from steps.lib.catalog import Catalog, Job, load_job
from steps.lib.database import open_database
from steps.lib.errors import CnibenchError, InputError
from steps.lib.manifest import plan_on, require
from steps.lib.questions import ask as ask_question
from steps.lib.questions import load_questions
from steps.lib.store import open_store
from steps.lib.targets import open_target

app = typer.Typer(
    help="Declarative benchmarks of Kubernetes network plugins.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
err = Console(stderr=True)


class Tools(StrEnum):
    """Where traffic tools come from."""

    box = "box"
    host = "host"


CampaignFile = Annotated[Path, typer.Argument(help="Campaign file (YAML)")]


class ReportForm(StrEnum):
    """Forms of a report."""

    html = "html"
    markdown = "markdown"
    table = "table"


StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
]
ToolsOption = Annotated[
    Tools | None, typer.Option("--tools", help="Overrides the campaign's `target.tools`")
]
FormatOption = Annotated[show.Format, typer.Option("--format", help="Form of the answer")]
CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="Only this campaign; default: the latest")
]


@app.command()
def plan(
    campaign: Annotated[Path | None, typer.Argument(help="Campaign file (YAML)")] = None,
    store: StoreOption = "results",
    tools: ToolsOption = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="List every cell in running order")
    ] = False,
    detect: Annotated[
        str | None,
        typer.Option("--detect", help="A difference, like 5%: how many blocks a side show it"),
    ] = None,
) -> None:
    """Show every cell, the time, the traffic, and the smallest difference the plan can see."""
    if detect is not None:
        show_blocks_needed(detect, store)
    if campaign is None:
        if detect is None:
            raise InputError("`plan` needs a campaign file, or --detect 5%")
        return
    job = _load(campaign, tools)
    target = open_target(job.campaign.target)
    require(target)
    opened = open_store(store, create=False)
    try:
        planned = plan_on(job, target)
    finally:
        target.let_go()
    show.plan(planned, opened, open_database(opened), cells)


@app.command()
def run(
    campaign: CampaignFile,
    store: StoreOption = "results",
    tools: ToolsOption = None,
    allow_unlocked: Annotated[
        bool,
        typer.Option("--allow-unlocked", help="Install sources that have no digest on record"),
    ] = False,
) -> None:
    """Run what is missing of a campaign; running it again resumes it."""
    from cnibench.progress import CampaignProgress
    from steps.lib.executor import run_campaign

    job = _locked(_load(campaign, tools), allow_unlocked)
    ending.listen()
    with CampaignProgress(err) as progress:
        failed = run_campaign(job, store, progress)
    database = open_database(open_store(store))
    comparison(ask_question(database, "fastest-plugin", job.campaign.name))
    show.answer(ask_question(database, "coverage", job.campaign.name), show.Format.table)
    if failed:
        _say("failed blocks", f"{', '.join(failed)}; the same command tries them again")
        raise typer.Exit(1)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="Name of a question; see `cnibench questions`")],
    store: StoreOption = "results",
    campaign: CampaignOption = None,
    form: FormatOption = show.Format.table,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="Another parameter of the question: name=value"),
    ] = None,
) -> None:
    """Answer a question of `queries/` from the store."""
    database = open_database(open_store(store, create=False))
    given = dict(_name_and_value(text) for text in parameter or ())
    show.answer(ask_question(database, question, campaign, **given), form)


def _name_and_value(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier() or name == "campaign":
        raise InputError(f"--parameter {text!r}: write name=value; a campaign goes to --campaign")
    return name, value


app.command("import")(import_results)


@app.command()
def questions() -> None:
    """List the questions that `ask` answers."""
    show.questions(load_questions())


@app.command()
def report(
    store: StoreOption = "results",
    campaign: CampaignOption = None,
    output: Annotated[Path, typer.Option("--output", help="HTML file")] = Path("report.html"),
    form: Annotated[
        ReportForm, typer.Option("--format", help="The page, or its first answers in brief")
    ] = ReportForm.html,
) -> None:
    """Write one static HTML file with the campaign's comparison, or print it in brief."""
    from cnibench.report import brief, write_report

    database = open_database(open_store(store, create=False))
    if form is ReportForm.markdown:
        typer.echo(brief.markdown(brief.brief(database, campaign)), nl=False)
        return
    if form is ReportForm.table:
        brief.show_table(brief.brief(database, campaign))
        return
    write_report(database, campaign, output)
    typer.echo(f"Report: {output.resolve()}")


app.command()(compare)
app.command()(history)
app.command()(sql)
app.command()(collect)

catalog_app = typer.Typer(help="What campaigns can name.")
app.add_typer(catalog_app, name="catalog")


@catalog_app.callback(invoke_without_command=True)
def catalog(
    context: typer.Context,
    validate: Annotated[bool, typer.Option("--validate", help="Load every entry")] = False,
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="The table of features instead: claimed, where, and seen or not; CSV if piped",
        ),
    ] = False,
) -> None:
    """List plugins, profiles and matrices."""
    if context.invoked_subcommand:
        return
    entries = Catalog()
    if features:
        is_terminal = show.out.is_terminal
        show_features(entries.plugins, show.Format.table if is_terminal else show.Format.csv)
    else:
        show.catalog(entries)
    if validate:
        counts = {
            name: len(list(getattr(entries, name)))
            for name in ("plugins", "profiles", "matrices", "targets")
        }
        typer.echo("valid: " + ", ".join(f"{n} {name}" for name, n in counts.items()))


@catalog_app.command()
def lock(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PLUGIN]...", help="Only these; default: all")
    ] = None,
) -> None:
    """Fetch what plugins are installed from, and record its digests in `sources.lock.yaml`."""
    from steps.lib.locking import lock as lock_sources

    locked = lock_sources(Catalog(), names or ())
    show.rows(("source", "outcome"), [(s.key, s.outcome) for s in locked], show.Format.table)
    if any(s.found is None for s in locked):
        raise typer.Exit(1)


@app.command()
def render(
    check: Annotated[bool, typer.Option("--check", help="Only compare with the files")] = False,
) -> None:
    """Write the Argo templates to `workflows/rendered/`."""
    from workflows.render import main as render_main

    raise typer.Exit(render_main(["--check"] if check else []))


def _load(path: Path, tools: Tools | None) -> Job:
    job = load_job(path)
    if tools is None:
        return job
    target = job.campaign.target.model_copy(update={"tools": tools.value})
    return job.model_copy(update={"campaign": job.campaign.model_copy(update={"target": target})})


def _locked(job: Job, allow_unlocked: bool) -> Job:
    """The job with a digest of everything it installs, so that it can be repeated."""
    if not allow_unlocked:
        sources.require_locked(job)
    return locking.pinned(job)


def main() -> None:
    """Run the command; known errors become one message and their own exit status."""
    try:
        app()
    except CnibenchError as error:
        kind = "error" if isinstance(error, InputError) else type(error).__name__
        _say(kind, str(error))
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        _say("error", f"{error.filename or ''} {error.strerror}".strip())
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        _say("interrupted", "the same command goes on, and first undoes what may be left")
        raise SystemExit(130) from None


def _say(kind: str, text: str) -> None:
    """Messages hold brackets of their own, which are not markup."""
    err.print(f"[red]{kind}:[/red] {escape(text)}", highlight=False, soft_wrap=True)
