"""What is not there is said plainly: by questions, both forms of the report, comparisons."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.errors import InputError
from steps.lib.questions import ask, load_questions
from steps.lib.store import open_store
from tests.filled_store import fill
from tests.report_page import Page
from tests.report_rows import Rows, make_database, make_rows, make_small_job

EVIDENCE = "mtu: client 1450 (expected 1500)"


def run(folder: Path, *arguments: str) -> str:
    """What the command prints, on one line."""
    result = CliRunner().invoke(app, [*arguments, "--store", str(folder / "results")])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.split())


def said(folder: Path) -> tuple[str, str, str]:
    """The answer of a question, the report in brief, and the page in words."""
    page = folder / "report.html"
    run(folder, "report", "--output", str(page))
    return (
        run(folder, "ask", "fastest-plugin", "--format", "markdown"),
        run(folder, "report", "--format", "markdown"),
        " ".join(Page(page.read_text(encoding="utf-8")).text.split()),
    )


def invalid() -> Rows:
    rows = make_rows(make_small_job())
    for row in rows["measurements"]:
        row |= {"status": "invalid", "reason": EVIDENCE, "throughput_bits_per_s": None}
        row["transactions_per_s"] = None
    return rows


def running() -> Rows:
    rows = make_rows(make_small_job())
    first = rows["blocks"][0]["block"]
    started = {name: rows[name] for name in ("blocks", "nodes", "measurements", "histograms")}
    return rows | {name: [r for r in of if r["block"] == first] for name, of in started.items()}


def alone() -> Rows:
    return make_rows(make_small_job(plugins=("bravo",)))


GONE = ("throughput_bits_per_s", "transactions_per_s", "cpu_components", "load_streams")
"""Columns that some older objects do not have."""


def lacking() -> Rows:
    rows = make_rows(make_small_job())
    for row in rows["measurements"]:
        row |= dict.fromkeys(GONE)
    return rows


CASES: list[tuple[Callable[[], Rows], str, tuple[str, ...]]] = [
    (invalid, "0 measured, 32 invalid", ("No run gave a number: 32 invalid.", EVIDENCE)),
    (running, "(running, or interrupted): of 32 cells", ("Not complete, since it is running",)),
    (alone, "rank", ("One plugin was asked for, so there is none to be better", "only bravo")),
]


@pytest.mark.parametrize(("rows", "in_answer", "in_reports"), CASES, ids=lambda v: str(v)[:20])
def test_a_campaign_without_a_ranking_says_why(
    tmp_path: Path, rows: Callable[[], Rows], in_answer: str, in_reports: tuple[str, ...]
) -> None:
    fill(open_store(str(tmp_path / "results")), rows())
    answer, brief, page = said(tmp_path)
    assert in_answer in answer
    for sentence in in_reports:
        assert sentence in brief
        assert sentence in page


def test_objects_that_lack_columns_are_said_to_and_everything_is_answered(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), make_rows(make_small_job()))
    for file in (tmp_path / "results" / "measurements").rglob("*.parquet"):
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(list(GONE)), file)
    for text in said(tmp_path):
        assert "its runs have no rate: objects of another version lack it" in text


@pytest.mark.parametrize("rows", [invalid, running, alone, lacking], ids=lambda f: f.__name__)
def test_no_answer_breaks_an_invariant_of_its_question(rows: Callable[[], Rows]) -> None:
    database = make_database(rows())
    for name, question in load_questions().items():
        relation = ask(database, name).relation
        broken = [i for i in question.invariants if relation.filter(f"not ({i})").fetchall()]
        assert (name, broken) == (name, [])


@pytest.mark.parametrize("arguments", [("ask", "spread"), ("report",), ("compare", "a", "b")])
def test_an_empty_store_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(InputError, match=r"holds no (campaign; run one|rows)"):
        run(tmp_path, *arguments)


def test_a_comparison_of_what_was_never_valid_has_no_sides(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), invalid())
    with pytest.raises(InputError, match="has no row for it"):
        run(tmp_path, "compare", "alpha", "bravo")
