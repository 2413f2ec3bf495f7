"""How Sphinx renders the documentation: ``make site`` calls it, broken links are errors.

The repository's folder is the source, so that links between pages are right on the site and
in the repository alike. The example is read from the folder ``$CNIBENCH_EXAMPLE``: the report as
``example/report.html``, and in brief as ``example/report.md``.
"""

import os
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(os.environ.get("CNIBENCH_EXAMPLE", ROOT / "build/example"))
SHOWN_IN = "docs/example"
FULL = (
    '<p><a href="../example/report.html"><b>Open the full report</b></a></p>\n\n'
    "What follows is the same campaign in brief, as for a pull request.\n\n"
)

project = "cnibench"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/**.md"]
# Sphinx walks what it is not told to leave out, along symbolic links too: .tools leads far.
exclude_patterns = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "docs"]

extensions = ["myst_parser"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "cnibench"
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a94", "color-brand-content": "#005a94"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f5", "color-brand-content": "#7cc4f5"},
}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = [str(EXAMPLE)]
# Colours of code that readers with weak sight can tell apart from their ground, too.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
templates_path = ["templates"]
html_additional_pages = {"index": "to-front.html"}


def _add_example(_: Sphinx, page: str, source: list[str]) -> None:
    """End the page of the example with the report, which no file in the repository holds."""
    if page == SHOWN_IN:
        brief = (EXAMPLE / "example/report.md").read_text(encoding="utf-8")
        # Its headings go below the page's own.
        lower = [f"#{line}" if line.startswith("#") else line for line in brief.splitlines()]
        source[0] += "\n" + FULL + "\n".join(lower) + "\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_example)
