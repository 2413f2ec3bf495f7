"""The report: one static HTML file about one campaign, without scripts and without the network."""

from pathlib import Path

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cnibench.report.answers import Answers
from cnibench.report.campaign import choose
from cnibench.report.coverage import REASONS_MAX
from cnibench.report.numbers import short, utc
from cnibench.report.sections import contents
from cnibench.report.svg import drawing

FOLDER = Path(__file__).parent


def write_report(database: duckdb.DuckDBPyConnection, campaign: str | None, path: Path) -> None:
    """Write the report of a campaign. Equal rows give equal bytes.

    Args:
        database: The store's tables.
        campaign: Its id; None takes the latest.
        path: The HTML file; an older one is replaced.

    Raises:
        InputError: the store holds no such campaign.
    """
    chosen = choose(database, campaign)
    template = _templates().get_template("template.html.j2")
    with drawing():
        shown = contents(chosen, Answers(database, chosen.name))
    text = template.render(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(short=short, utc=utc)
    templates.globals["reasons_max"] = REASONS_MAX
    templates.globals["style"] = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return templates
