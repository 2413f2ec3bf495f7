"""The report's charts of two scales, its brief forms, and why there are no numbers."""

import re
from html import unescape
from pathlib import Path

import duckdb
import pytest

from cnibench.report import brief, write_report
from cnibench.report.answers import Answers
from cnibench.report.coverage import reasons
from tests.report_rows import make_database, make_job, make_rows, make_small_job


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return make_database(make_rows(make_job()))


@pytest.fixture(scope="module")
def html(database: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(database, None, path)
    return path.read_text(encoding="utf-8")


def test_latency_scaling_and_cpu_are_drawn_with_the_names_beside_the_curves(html: str) -> None:
    for kind, title in (
        ("tail", "cross-node.tcp-rr"),
        ("scaling-streams", "from cross-node.tcp-1 on"),
        ("cpu", "cross-node.tcp-1"),
    ):
        found = re.findall(rf'<title id="{kind}-\d+-title">([^<]*)', html)
        assert any(text.startswith(f"{title}:") for text in found), (kind, found)


def test_the_brief_report_says_what_the_first_screen_says(
    database: duckdb.DuckDBPyConnection, html: str
) -> None:
    found = brief.brief(database, None)
    text = brief.markdown(found)
    assert text.startswith(f"# {found.title}\n")
    for sentence in (*found.summary, *found.notices[:1]):
        assert sentence in text
        assert sentence in unescape(html)
    assert "| cross-node | TCP, 4 streams | bravo |" in text
    assert "| left out | runs | why | plugins |" in text


def test_a_campaign_without_numbers_is_told_in_brief_too() -> None:
    found = brief.brief(make_database(make_rows(make_small_job(), fail_all=True)), None)
    assert "nothing was measured" in " ".join(found.summary)
    assert "client: connection refused" in brief.markdown(found)


def test_runs_without_a_number_are_counted_by_their_own_reasons(
    database: duckdb.DuckDBPyConnection,
) -> None:
    outcomes = Answers(database, "synthetic")("coverage-by-cell")
    found = {(r.status, r.reason): r.blocks for r in reasons(outcomes)}
    planned = Answers(database, "synthetic")("coverage")
    assert sum(found.values()) == sum(row["asked"] - row["measured"] for row in planned)
    counted = database.execute(
        "select status, reason, count(*) from measurements where role = 'cell' and status != 'ok' "
        "and campaign = 'synthetic' group by all"
    ).fetchall()
    assert len(counted) > 2
    for status, reason, runs in counted:
        assert found[status, reason] == runs
