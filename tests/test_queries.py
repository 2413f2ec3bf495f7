"""Every question: its files fit together, and its given rows give the expected answer."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from scipy import stats

from steps.lib.comparing.inference import BLOCKS_MAX, blocks_needed, log_sd_of
from steps.lib.errors import InputError
from steps.lib.questions import (
    Question,
    UnitTest,
    answer,
    ask,
    load_question,
    load_questions,
    statement_of,
)
from steps.lib.sql import MACROS, QUERIES
from steps.lib.store.consolidated import query_schema
from steps.lib.tables import TABLES

QUESTIONS = load_questions()

CASES = [
    pytest.param(name, question, case, id=f"{name}: {case.name}")
    for name, question in QUESTIONS.items()
    for case in question.unit_tests
]

Given = Mapping[str, Sequence[Mapping[str, Any]]]


def database(given: Given, defaults: Mapping[str, Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for table in TABLES:
        shape = query_schema(table)
        rows = [{**defaults.get(table, {}), **row} for row in given.get(table, ())]
        unknown = {name for row in rows for name in row} - set(shape.names)
        assert not unknown, f"given {table}: no columns {unknown}"
        for row in rows:
            for field in shape:
                if pa.types.is_timestamp(field.type) and isinstance(row.get(field.name), str):
                    row[field.name] = datetime.fromisoformat(row[field.name])
        connection.register(f"given_{table}", pa.Table.from_pylist(rows, schema=shape))
        connection.execute(f"create table {table} as select * from given_{table}")
    return connection


def equal(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=1e-6)
    return bool(found == expected)


@pytest.mark.parametrize(("name", "question", "case"), CASES)
def test_given_rows_give_the_expected_answer(name: str, question: Question, case: UnitTest) -> None:
    """And no row of it breaks an invariant of the question."""
    connection = database(case.given, question.defaults)
    found = answer(connection, name, question, {})
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert len(rows) == len(case.expect), rows
    for row, expected in zip(rows, case.expect, strict=True):
        wrong = {k: (row[k], v) for k, v in expected.items() if not equal(row[k], v)}
        assert not wrong, f"found, expected: {wrong}"
    assert found.columns == [column.name for column in question.columns]
    relation = connection.sql(statement_of(name))
    broken = [i for i in question.invariants if relation.filter(f"not ({i})").fetchall()]
    assert not broken


def test_intervals_are_those_of_students_t() -> None:
    macros = duckdb.connect()
    for path in MACROS.glob("*.sql"):
        macros.execute(path.read_text())
    for freedom in (1, 2, 3, 7, 29, 30, 31, 100, 5000):
        (found,) = macros.execute("select t_95($f), t_90($f)", {"f": float(freedom)}).fetchall()
        exact = (stats.t.ppf(0.975, freedom), stats.t.ppf(0.95, freedom))
        assert found == pytest.approx(exact, rel=1e-4), freedom
    between = macros.execute("select t_95(3.9), t_90(1.5)").fetchall()[0]
    assert between[0] > stats.t.ppf(0.975, 3.9)
    assert between[1] > stats.t.ppf(0.95, 1.5)


def test_blocks_needed_in_sql_are_those_of_the_plan() -> None:
    macros = duckdb.connect()
    for path in MACROS.glob("*.sql"):
        macros.execute(path.read_text())
    statement = "select blocks_that_show($percent, sqrt(ln(1 + ($cv / 100) ** 2)))"
    for percent in (1.0, 5.0, 20.0, 60.0):
        for cv in (0.5, 3.0, 7.0, 25.0):
            found = macros.execute(statement, {"percent": percent, "cv": cv}).fetchall()[0][0]
            planned = blocks_needed(percent, log_sd_of(cv))
            # The plan stops its search where doubling would pass the most it knows.
            assert planned is not None or found > BLOCKS_MAX / 2
            assert planned is None or abs(found - planned) <= (planned > 30)


@pytest.mark.parametrize("percent", [0.0, 1e-13, 1e-11])
def test_no_number_of_blocks_shows_a_difference_that_is_rounding(percent: float) -> None:
    macros = duckdb.connect()
    for path in MACROS.glob("*.sql"):
        macros.execute(path.read_text())
    found = macros.execute("select blocks_that_show($percent, 0.03)", {"percent": percent})
    assert found.fetchall() == [(None,)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_campaign_that_is_asked_for_is_alone_in_the_answer(name: str) -> None:
    question = QUESTIONS[name]
    given: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for campaign in ("first", "second"):
        for table, rows in question.unit_tests[0].given.items():
            given[table] += [{**row, "campaign": campaign} for row in rows]
    stated = question.unit_tests[0].given.get("campaigns", ({},))[0]
    given["campaigns"] = [
        {**stated, "campaign": "first", "created_at": "2026-01-01T00:00:00"},
        {**stated, "campaign": "second", "created_at": "2026-01-02T00:00:00"},
    ]
    for row in given["campaigns"]:
        row["baseline_plugin"] = "host"
    connection = database(given, question.defaults)
    one = ask(connection, name, "first")
    assert {row[0] for row in one.rows} == {"first"}
    assert {row[0] for row in ask(connection, name).rows} == {"second"}, "latest by default"
    assert len(answer(connection, name, question, {}).rows) == 2 * len(one.rows)


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_empty_store_gives_an_answer_without_rows(name: str) -> None:
    assert answer(database({}, {}), name, QUESTIONS[name], {}).rows == []


def test_asking_names_what_is_not_there() -> None:
    empty = database({}, {})
    with pytest.raises(InputError, match="did you mean 'overhead'"):
        ask(empty, "overheat")
    with pytest.raises(InputError, match="holds no campaign"):
        ask(empty, "overhead")
    some = database({"campaigns": [{"campaign": "demo"}]}, {})
    with pytest.raises(InputError, match="did you mean 'demo'"):
        ask(some, "overhead", "dmeo")


def test_a_question_without_its_sql_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lonely.yaml").write_text("description: x\n")
    with pytest.raises(InputError, match=r"lonely\.sql: is missing"):
        load_questions(tmp_path)


def test_a_wrong_field_is_named_with_file_and_line(tmp_path: Path) -> None:
    text = (QUERIES / "overhead.yaml").read_text()
    (tmp_path / "overhead.sql").write_text("select 1")
    (tmp_path / "overhead.yaml").write_text(text.replace("\ngrain:", "\ngrian:"))
    with pytest.raises(InputError, match=r"overhead\.yaml:3: grian: .*did you mean 'grain'"):
        load_question("overhead", tmp_path)
