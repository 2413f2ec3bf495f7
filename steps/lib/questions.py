"""Questions: one SQL file and one YAML file each, in ``queries/``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
from pydantic import Field, JsonValue

from steps.lib.database import add_shared
from steps.lib.documents import read_yaml, suggest, validate
from steps.lib.errors import CnibenchError, InputError
from steps.lib.models import Model
from steps.lib.sql import QUERIES

Rows = tuple[dict[str, JsonValue], ...]


class AnswerColumn(Model):
    """One column of an answer."""

    name: str
    unit: str = Field(default="", description="Empty for names, counts and yes/no")
    description: str


class Parameter(Model):
    """What may narrow a question down; in SQL ``getvariable('<name>')``, null if not given."""

    name: str
    description: str


class UnitTest(Model):
    """Rows that the tables hold, and the answer they must give."""

    name: str = Field(description="What it shows, as a sentence")
    given: dict[str, Rows] = Field(
        description="Rows by table; columns that are not stated are null"
    )
    expect: Rows = Field(description="The answer, row by row; columns not stated are not compared")


class Question(Model):
    """What a question is, beside its SQL."""

    description: str = Field(description="The question in one sentence")
    grain: str = Field(description="What one row is: `one row per ...`")
    example: str = Field(description="One line of a possible answer, in words")
    parameters: tuple[Parameter, ...] = ()
    columns: tuple[AnswerColumn, ...] = Field(min_length=1, description="As in the SQL, in order")
    invariants: tuple[str, ...] = Field(
        default=(), description="SQL expressions that are true for every row of every answer"
    )
    defaults: dict[str, dict[str, JsonValue]] = Field(
        default={}, description="By table: values of given rows that do not state them"
    )
    unit_tests: tuple[UnitTest, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Answer:
    """The rows that answer a question, and the relation that they are from, which has types."""

    question: Question
    columns: list[str]
    rows: list[tuple[Any, ...]]
    relation: duckdb.DuckDBPyRelation
    remark: str | None = None
    """What of the campaign is not measured, or was but does not count; None if all of it is."""


def load_questions(folder: Path = QUERIES) -> dict[str, Question]:
    """All questions by name, sorted. The folder listing is the registry.

    Raises:
        InputError: a file is wrong, or one of a pair is absent.
    """
    return {name: load_question(name, folder) for name in _names(folder)}


def load_question(name: str, folder: Path = QUERIES) -> Question:
    """One question.

    Raises:
        InputError: there is none of that name, or its file is wrong.
    """
    if name not in _names(folder):
        raise InputError(f"question {name!r} is not known; {suggest(name, _names(folder))}")
    path = folder / f"{name}.yaml"
    for file in (path, path.with_suffix(".sql")):
        if not file.exists():
            raise InputError(f"{file}: is missing; a question is a pair of .sql and .yaml")
    return validate(Question, read_yaml(path), path)


def ask(
    database: duckdb.DuckDBPyConnection,
    name: str,
    campaign: str | None = None,
    **parameters: str | None,
) -> Answer:
    """Answer a question about one campaign.

    Args:
        database: As ``open_database`` makes it.
        name: Name of the question.
        campaign: Id of the campaign; the latest one if None.
        parameters: Others that the question takes; campaigns among them must exist, too.

    Raises:
        InputError: no such question, parameter or campaign, or the store has none.
    """
    question = load_question(name)
    taken = [parameter.name for parameter in question.parameters]
    for parameter in parameters:
        if parameter not in taken:
            raise InputError(f"question {name} takes no {parameter!r}; {suggest(parameter, taken)}")
    known = [row[0] for row in database.execute(_CAMPAIGNS).fetchall()]
    if not known:
        raise InputError("the store holds no campaign; run one, or correct --store")
    for asked in (campaign, parameters.get("against")):
        if asked is not None and asked not in known:
            raise InputError(f"campaign {asked!r} is not in the store; {suggest(asked, known)}")
    chosen = campaign or known[0]
    answered = answer(database, name, question, {"campaign": chosen, **parameters})
    return replace(answered, remark=state_of(database, chosen))


def state_of(database: duckdb.DuckDBPyConnection, campaign: str) -> str | None:
    """What became of a campaign's cells, in words; None where every one of them was measured."""
    found = database.execute(
        "select status, count(*) from outcomes where campaign = ? group by all order by all",
        [campaign],
    ).fetchall()
    counts: dict[str, int] = dict(found)
    planned, measured = sum(counts.values()), counts.pop("ok", 0)
    if not counts and planned:
        return None
    others = "".join(f", {count} {status}" for status, count in counts.items())
    running = " (running, or interrupted)" if "missing" in counts else ""
    return f"campaign {campaign}{running}: of {planned} cells {measured} measured{others}"


def answer(
    database: duckdb.DuckDBPyConnection,
    name: str,
    question: Question,
    parameters: Mapping[str, str | None],
    folder: Path = QUERIES,
) -> Answer:
    """Run a question's SQL; parameters that are not given are null."""
    prepare(database, question, parameters)
    statement = statement_of(name, folder)
    try:
        relation = database.sql(statement)
        return Answer(question, relation.columns, relation.fetchall(), relation)
    except duckdb.Error as error:
        raise CnibenchError(f"queries/{name}.sql: {error}") from error


def prepare(
    database: duckdb.DuckDBPyConnection, question: Question, parameters: Mapping[str, str | None]
) -> None:
    """Set the question's parameters, and add the shared views where they are absent."""
    add_shared(database)
    for parameter in question.parameters:
        value = parameters.get(parameter.name)
        literal = "null" if value is None else "'" + value.replace("'", "''") + "'"
        database.execute(f"set variable {parameter.name} = {literal}::varchar")


def statement_of(name: str, folder: Path = QUERIES) -> str:
    """The question's SQL; without parameters it answers for every campaign."""
    return (folder / f"{name}.sql").read_text(encoding="utf-8")


_CAMPAIGNS = (
    "select campaign from campaigns order by environment_class is not distinct from 'imported', "
    "created_at desc nulls last, campaign desc"
)
"""The latest first; what was imported comes after all that was measured here."""


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted({p.stem for p in folder.iterdir() if p.suffix in (".sql", ".yaml")}))
