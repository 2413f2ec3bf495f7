"""The site: all of the documentation as pages, linked without a gap, nothing from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cnibench.report import brief, write_report
from steps.lib.catalog import load_job
from steps.lib.questions import load_questions
from tests.report_page import Page
from tests.report_rows import make_database, make_rows, make_small_job

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def build(source: Path, site: Path, example: Path) -> subprocess.CompletedProcess[str]:
    """As ``make site`` calls it."""
    options = ("--quiet", "--fail-on-warning", "--keep-going", f"--conf-dir={DOCS / 'site'}")
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, f"--doctree-dir={site}.trees", source, site],
        env=os.environ | {"CNIBENCH_EXAMPLE": str(example)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    report = folder / "example" / "example" / "report.html"
    database = make_database(make_rows(make_small_job()))
    write_report(database, None, report)
    report.with_suffix(".md").write_text(brief.markdown(brief.brief(database, None)))
    done = build(ROOT, folder / "site", folder / "example")
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "site"


def documents(site: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Page(path.read_text(encoding="utf-8"))


def test_every_page_of_the_documentation_is_on_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert {page for page in pages if not (site / page).exists()} == set()


def test_every_link_of_the_site_leads_to_a_file_of_it(site: Path) -> None:
    gone = [
        f"{path.relative_to(site)}: {link}"
        for path, page in documents(site)
        for link in page.attributes("href") + page.attributes("src")
        if not re.match(r"\w+:", link)
        and not path.parent.joinpath(unquote(urlsplit(link).path)).exists()
    ]
    assert gone == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = [
        f"{path.relative_to(site)}: {attributes}"
        for path, page in documents(site)
        for name, attributes in page.elements
        if name != "a" and re.match(r"(\w+:)?//", attributes.get("src", attributes.get("href", "")))
    ]
    styles = [
        path.name
        for path in (site / "_static").rglob("*.css")
        if re.search(r"(url\(|@import)\W*(https?:)?//", path.read_text(encoding="utf-8"))
    ]
    assert (loaded, styles) == ([], [])


def test_the_site_ends_in_a_report(site: Path) -> None:
    text = (site / "docs" / "example.html").read_text(encoding="utf-8")
    assert 'href="../example/report.html"' in text
    assert "Made-up plugins on one machine" in text
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_links_that_lead_nowhere_fail_the_site(tmp_path: Path) -> None:
    pages, example = tmp_path / "pages", tmp_path / "example"
    (pages / "docs").mkdir(parents=True)
    example.mkdir()
    (pages / "docs" / "index.md").write_text("# Page\n\n[here](gone.md) [there](#vanished)\n")
    done = build(pages, tmp_path / "site", example)
    assert done.returncode
    assert "gone.md" in done.stderr
    assert "vanished" in done.stderr


def test_the_tutorial_says_what_works(tmp_path: Path) -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    (document,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    commands = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    campaign = tmp_path / "my-first.yaml"
    campaign.write_text(document)
    job = load_job(campaign)
    assert all("namespaces" in plugin.targets for plugin in job.plugins)
    asked = set(re.findall(r"cnibench ask (\S+)", commands))
    assert asked
    assert asked <= set(load_questions())
    database = make_database(make_rows(make_small_job()))
    for statement in re.findall(r'cnibench sql "(.*)"', commands):
        assert database.execute(statement).fetchall()
