"""What a real browser shows of pages under the content policy of Argo's artifact view."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from cnibench.report import write_report
from steps.lib.store import open_store
from tests.lab.on_argo.browser import look
from tests.report_rows import make_database, make_job, make_rows
from tests.test_comparing import SAME, SLOW, fill

pytestmark = pytest.mark.lab

FREE = {"Content-Type": "text/html; charset=utf-8"}
POLICY = FREE | {
    "Content-Security-Policy": "sandbox allow-same-origin; base-uri 'none'; default-src 'none'; "
    "img-src 'self'; style-src 'self' 'unsafe-inline'"
}
"""As Argo 3.7.18 sends it; ``test_campaigns`` looks at a report with what the running one sends."""


def report(folder: Path) -> str:
    """A report of one path, with every kind of chart."""
    job = make_job("charts", 3, ("alpha", "bravo"))
    matrix = job.matrix.model_copy(update={"paths": ("cross-node",)})
    file = folder / "report.html"
    write_report(make_database(make_rows(job.model_copy(update={"matrix": matrix}))), None, file)
    return file.read_text(encoding="utf-8")


def comparison(folder: Path) -> str:
    """A comparison of three sides."""
    fill(open_store(str(folder / "results")), {"a": SAME, "b": SLOW, "c": SAME[::-1]})
    file = folder / "comparison.html"
    stored = ("--store", str(folder / "results"), "--html", str(file))
    CliRunner().invoke(app, ["compare", "a", "b", "c", *stored])
    return file.read_text(encoding="utf-8")


def test_a_page_that_the_content_policy_stops_looks_different(tmp_path: Path) -> None:
    page = b"<!doctype html><body><script>document.body.textContent = 'it ran'</script>"
    free = look(tmp_path / "free", page, FREE)
    stopped = look(tmp_path / "stopped", page, POLICY)
    assert stopped.picture != free.picture
    assert free.complaints == []
    assert stopped.complaints


@pytest.mark.parametrize(
    ("make", "drawings"),
    [(report, ("tail", "scaling-streams", "cpu")), (comparison, ("throughput",))],
)
def test_charts_and_comparisons_look_under_the_policy_as_they_do_without(
    tmp_path: Path, make: Callable[[Path], str], drawings: tuple[str, ...]
) -> None:
    """And all kinds of drawings are seen: without the lines of one the picture is another."""
    page = make(tmp_path)
    height_px = 9000
    shown = look(tmp_path / "policy", page.encode(), POLICY, height_px)
    assert shown.complaints == []
    assert look(tmp_path / "free", page.encode(), FREE, height_px).picture == shown.picture
    for kind in drawings:
        emptied = re.sub(rf"(?s)(<svg[^>]*\b{kind}-.*?</desc>).*?</svg>", r"\1</svg>", page)
        assert emptied != page, kind
        seen = look(tmp_path / kind, emptied.encode(), POLICY, height_px)
        assert seen.picture != shown.picture, kind
