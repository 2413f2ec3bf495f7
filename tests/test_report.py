"""The report: one static file that shows what the questions answer, no more and no less."""

import os
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cnibench.report import write_report
from cnibench.report.answers import Answers
from cnibench.report.campaign import choose
from cnibench.report.coverage import STATUSES
from cnibench.report.first_answer import verdicts
from cnibench.report.numbers import percent, short
from cnibench.report.words import BLOCKS_MIN, is_control
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.questions import ask
from steps.lib.store import Store, open_store, store_measurement, write_rows
from tests.report_page import Page, is_sound, is_still
from tests.report_rows import START, Rows, make_database, make_job, make_rows, make_small_job
from tests.store_rows import full

NUMBER = r"(?<![\w.-])[+\N{MINUS SIGN}]?\d[\d,.]*\d(?:.%)?|(?<![\w.-])\d(?![\w.-])"
"""A number that is no part of a name."""


def report(database: duckdb.DuckDBPyConnection, folder: Path, campaign: str | None = None) -> str:
    path = folder / "report.html"
    write_report(database, campaign, path)
    return path.read_text(encoding="utf-8")


def rows_of(database: duckdb.DuckDBPyConnection, question: str) -> list[dict[str, Any]]:
    found = ask(database, question)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', html, re.DOTALL)
    assert found, name
    return found[0]


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return make_database(make_rows(make_job()))


@pytest.fixture(scope="module")
def html(database: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report(database, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


# ---------- the file


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    """In another process too, where sets and hashes have another order."""
    here = report(make_database(make_rows(make_small_job())), tmp_path)
    code = (
        "import sys; from pathlib import Path; from cnibench.report import write_report;"
        "from tests.report_rows import *;"
        "write_report(make_database(make_rows(make_small_job())), None, Path(sys.argv[1]))"
    )
    path = tmp_path / "other.html"
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
    assert path.read_text(encoding="utf-8") == here


def test_the_page_is_whole_html_and_nothing_runs_or_is_fetched(html: str, page: Page) -> None:
    is_sound(page)
    is_still(html, page)
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(below - above <= 1 for above, below in pairwise(headings))


def test_every_drawing_says_in_words_what_it_shows(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawings) > 50
    assert {d["role"] for d in drawings} == {"img"}
    assert len({d["aria-labelledby"] for d in drawings}) == len(drawings)


def test_drawings_have_no_colours_of_their_own(html: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    light, dark = style[1].split("@media screen", 1)
    for variable in set(re.findall(r"var\((--[\w-]+)\)", drawn)):
        assert f"{variable}:" in light
        assert f"{variable}:" in dark


# ---------- what it says


def first_answer(html: str) -> dict[str, list[str]]:
    """The small print of the first answer by cell."""
    traffic = [t.id for t in make_job().matrix.traffic]
    rows = section(html, "answer").split("<tbody>")[1].split("<tr>")[1:]
    found = {}
    for row in rows:
        path, *fields = re.split("<td", row)
        name = re.search(r'<th scope="row">([\w-]+)', path)
        assert name
        for id, field in zip(traffic, fields, strict=True):
            found[f"{name[1]}.{id}"] = re.findall(r"<small>(.*?)</small>", unescape(field))
    return found


def test_every_number_of_the_first_answer_is_one_of_the_questions(
    html: str, database: duckdb.DuckDBPyConnection
) -> None:
    """Medians, ranges, blocks of this cell, and ratios with their intervals, turned over or not."""
    fastest, overhead = rows_of(database, "fastest-plugin"), rows_of(database, "overhead")
    for cell, lines in first_answer(html).items():
        here = [r for r in fastest if r["cell"] == cell and r["blocks"]]
        known = {short(r[f"rate_{what}"]) for r in here for what in ("median", "min", "max")}
        ratios = [r[f"rate_ratio{part}"] for r in here for part in ("", "_low", "_high")]
        known |= {percent(1 / ratio) for ratio in ratios if ratio}
        for name in ("rate_ratio_of_pairs", "rate_ratio_low", "rate_ratio_high"):
            known |= {percent(r[name]) for r in overhead if r["cell"] == cell}
        known |= {str(r["blocks"]) for r in here} | {str(BLOCKS_MIN)}
        shown = [n for line in lines for n in re.findall(NUMBER, line)]
        assert len(shown) > 5
        assert [n for n in shown if n not in known] == []


def test_the_best_plugin_is_the_one_that_ranks_first_alone(
    html: str, database: duckdb.DuckDBPyConnection
) -> None:
    first: dict[str, set[str]] = {}
    few = set()
    for row in rows_of(database, "fastest-plugin"):
        if row["rank"] == 1 and not is_control(row["path"]):
            first.setdefault(row["cell"], set()).add(row["plugin"])
            few |= {row["cell"]} if row["is_leader"] and row["blocks"] < BLOCKS_MIN else set()
    alone = {cell for cell, plugins in first.items() if len(plugins) == 1 and cell not in few}
    decided = re.findall(r'<td class="decided"><b>(.*?)</b>', section(html, "answer"))
    assert set(decided) == {"bravo"} == set.union(*(first[cell] for cell in alone))
    assert 0 < len(decided) == len(alone) < len(first)


APART = {"bravo": (9.0, 9.5, 9.9), "charlie": (10.0, 10.4, 13.0)}
"""Ranges that do not overlap, which Welch's interval does not tell apart."""

OVERLAPPING = {"bravo": (9.0, 9.0, 9.1, 9.1, 9.2, 10.1), "charlie": (10.0, 10.1, 10.1, 10.2, 10.3)}


STATED = {"bravo": (9.98, 9.98, 9.98), "charlie": (9.99, 9.99, 9.99)}
"""Hardly any spread, of 10 Gbit/s that were asked for."""
HALF = {"bravo": (9.999, 10.0, 10.0), "charlie": (5.0, 10.0, 10.0)}
TWO_STATED = {"bravo": (9.98, 9.98), "charlie": (9.99, 9.99)}


@pytest.mark.parametrize(
    ("rates", "stated_gbits_per_s", "head"),
    [
        (APART, None, "cannot be told apart: charlie, bravo"),
        (OVERLAPPING, None, "charlie"),
        (STATED, 10, "carry the stated rate: charlie, bravo"),
        (TWO_STATED, 10, "carry the stated rate: charlie, bravo"),
        (STATED, 20, "charlie"),
        (HALF, 10, "cannot be told apart: bravo, charlie"),  # Only one carries what was asked for.
    ],
)
def test_the_first_screen_judges_as_the_question_does_and_not_by_ranges(
    rates: dict[str, tuple[float, ...]], stated_gbits_per_s: int | None, head: str
) -> None:
    job = make_small_job(repeats=6, plugins=("alpha", "bravo", "charlie"))
    rows = make_rows(job)
    cell = f"cross-node.{job.matrix.traffic[0].id}"
    rows["blocks"] = []
    for row in rows["measurements"]:
        values = rates.get(row["plugin"], ())
        if row["cell"] == cell:
            is_one = row["profile"] == "base" and row["repeat"] <= len(values)
            row |= {"status": "ok" if is_one else "failed", "metric": None}
            row["throughput_bits_per_s"] = 1e9 * values[row["repeat"] - 1] if is_one else None
            row["offered_bits_per_s"] = stated_gbits_per_s and stated_gbits_per_s * 10**9
    database = make_database(rows)
    campaign = choose(database, None)
    grid = verdicts(campaign, Answers(database, campaign.name))
    assert grid["cross-node"][cell.partition(".")[2]].head == head


def test_medians_stand_beside_their_dots_in_full(
    page: Page, database: duckdb.DuckDBPyConnection
) -> None:
    shown = Counter(text for tag, text in page.texts if tag == "text")
    for row in rows_of(database, "spread"):
        assert short(row["value_median"]) in shown


def test_coverage_adds_up_to_what_the_question_counts(
    html: str, database: duckdb.DuckDBPyConnection
) -> None:
    totals = rows_of(database, "coverage")
    said = Page(section(html, "coverage")).text
    for status in STATUSES:
        count = sum(row["measured" if status == "ok" else status] for row in totals)
        assert count > 0, "made-up rows hold every status"
        assert f"{count} {status}" in said


def test_what_is_missing_is_shown_with_its_reason(html: str) -> None:
    said = Page(section(html, "validity")).text
    assert "a shared link publishes no ports on the node" in said
    assert "steal: 11.2 % of all CPUs, limit 5.0 %" in said
    assert "client: connection refused" in said
    assert "link br0 on node-a" in Page(section(html, "life")).text
    assert "unsupported" in [t for tag, t in Page(section(html, "speed")).texts if tag == "text"]


def test_estimated_cycles_are_marked(html: str) -> None:
    cost = section(html, "cost")
    assert "≈ marks an estimate" in Page(cost).text
    tables = [t for t in cost.split("<caption>")[1:] if "cycles per packet" in t[:80]]
    fields = re.findall(r'<td class="number">(.*?)</td>', "".join(tables))
    assert len(tables) == 5
    assert {field[0] for field in fields} == {"≈", "–"}


def test_where_it_ran_stands_at_the_top(page: Page) -> None:
    assert "these are CPU numbers, not link speeds" in page.text.split("First answer: who")[0]


def test_two_blocks_rank_nothing(tmp_path: Path) -> None:
    html = report(make_database(make_rows(make_small_job(repeats=2))), tmp_path)
    assert '<td class="decided">' not in html
    assert "only bravo has numbers" in html
    assert "With fewer than 3 nothing is ranked" in html


# ---------- what can go wrong


def test_a_campaign_in_which_everything_failed_has_a_report(tmp_path: Path) -> None:
    database = make_database(make_rows(make_small_job(), fail_all=True))
    said = Page(report(database, tmp_path)).text
    assert "0 ok" in said
    assert "not measured" in said
    assert "client: connection refused" in said
    assert "No run counted packets" in said


def test_a_campaign_that_never_ran_has_a_report(tmp_path: Path) -> None:
    rows = make_rows(make_small_job())
    rows = rows | {"measurements": [], "blocks": [], "nodes": []}
    said = Page(report(make_database(rows), tmp_path)).text
    assert "not run yet" in said
    assert "planned, not run yet" in said


def test_the_latest_campaign_is_the_default(tmp_path: Path) -> None:
    older = make_rows(make_small_job("older"), created_at=START - timedelta(days=1))
    database = make_database(older, make_rows(make_small_job("newer")))
    assert "<code>newer</code>" in report(database, tmp_path)
    assert "<code>older</code>" in report(database, tmp_path, "older")


def test_a_campaign_that_is_not_there_is_refused_with_what_there_is(tmp_path: Path) -> None:
    database = make_database(make_rows(make_small_job("newer")))
    with pytest.raises(InputError, match="did you mean 'newer'"):
        report(database, tmp_path, "never")
    with pytest.raises(InputError, match="there are: newer"):
        report(database, tmp_path, "xyz")
    with pytest.raises(InputError, match="holds no campaign"):
        report(make_database(), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_numbers_are_compared_with_a_warning_if_the_environment_changed(tmp_path: Path) -> None:
    rows = make_rows(make_small_job())
    rows["nodes"][0] |= {"environment_fingerprint": "f" * 64, "kernel": "6.19.0-made-up"}
    assert "2 different environments" in report(make_database(rows), tmp_path)


def put(store: Store, rows: Rows) -> None:
    for table in ("campaigns", "planned"):
        found = [full(table, **row) for row in rows[table]]
        write_rows(store, table, found, campaign=found[0]["campaign"])
    for table in ("blocks", "nodes"):
        for row in rows[table]:
            keys = {name: row[name] for name in ("campaign", "block", "install_id")}
            same = [full(table, **r) for r in rows[table] if r["install_id"] == row["install_id"]]
            write_rows(store, table, same, **keys)
    for row in rows["measurements"]:
        own = [h for h in rows["histograms"] if h["measurement_id"] == row["measurement_id"]]
        store_measurement(store, full("measurements", **row), [], own, b"")


def test_a_store_gives_the_same_report_as_the_tables_in_memory(tmp_path: Path) -> None:
    rows = make_rows(make_small_job())
    store = open_store(str(tmp_path / "results"))
    put(store, rows)
    assert report(open_database(store), tmp_path) == report(make_database(rows), tmp_path)


# ---------- numbers as people read them


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.05123, "0.0512"),
        (0.5, "0.500"),
        (9.999, "10.0"),
        (23.456, "23.5"),
        (100.0, "100"),
        (999.6, "1,000"),
        (12345.6, "12,300"),
        (-4.5, "-4.50"),
    ],
)
def test_numbers_have_three_significant_digits(value: float | None, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "–"),
        (1.0, "0.0\N{NO-BREAK SPACE}%"),
        (1.0004, "0.0\N{NO-BREAK SPACE}%"),
        (1.034, "+3.4\N{NO-BREAK SPACE}%"),
        (0.9, "\N{MINUS SIGN}10.0\N{NO-BREAK SPACE}%"),
        (3.5, "+250\N{NO-BREAK SPACE}%"),
    ],
)
def test_ratios_are_shown_as_changes(ratio: float | None, text: str) -> None:
    assert percent(ratio) == text
