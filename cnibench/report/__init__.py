"""Reports: static HTML files of a campaign or a comparison, without scripts and the network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cnibench.report import comparison
from cnibench.report.answers import Answers
from cnibench.report.campaign import choose
from cnibench.report.coverage import REASONS_MAX
from cnibench.report.numbers import short, utc
from cnibench.report.sections import contents
from cnibench.report.svg import drawing
from steps.lib.comparing.compare import Comparison
from steps.lib.comparing.environments import Attribute

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
    with drawing():
        shown = contents(chosen, Answers(database, chosen.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page("campaign", shown), encoding="utf-8")


def comparison_page(compared: Comparison, environments: Sequence[Sequence[Attribute]]) -> str:
    """The page of a comparison, and of what is on record of its sides' environments."""
    with drawing():
        shown = comparison.contents(compared, environments)
    return _page("comparison", shown)


def _page(name: str, shown: Mapping[str, Any]) -> str:
    return _templates().get_template(f"{name}.html.j2").render(shown)


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
