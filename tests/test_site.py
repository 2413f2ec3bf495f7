"""The site has every page, and the tutorial's campaign is one. `make site` itself is strict."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from steps.lib.catalog import load_job

ROOT = Path(__file__).parents[1]
MADE = "example-report.html"


def pages(nav: Any) -> Iterator[str]:
    """Files that the navigation names."""
    for entry in nav if isinstance(nav, list) else [nav]:
        if isinstance(entry, dict):
            for below in entry.values():
                yield from pages(below)
        else:
            yield entry


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    site = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    documents = (p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md"))
    assert sorted({*documents, MADE}) == sorted(pages(site["nav"]))


@pytest.mark.parametrize(
    ("text", "told"), [(None, "is no file"), ("<title>x</title>", "is no report of cnibench")]
)
def test_an_example_that_is_no_report_is_refused(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "report.html"
    if text:
        file.write_text(text)
    done = subprocess.run(
        [ROOT / "images" / "site" / "make.sh"],
        env=os.environ | {"REPORT": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_the_tutorials_campaign_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (document,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "first.yaml"
    file.write_text(document)
    job = load_job(file)
    assert (job.campaign.repeats, len(job.plugins)) == (3, 3)
