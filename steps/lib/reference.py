"""The reference pages of tables, metrics, gates, files and questions, from their definitions.

``python -m steps.lib.reference`` writes them to ``docs/``; a test compares.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb

from steps.lib.columns import Column
from steps.lib.gates.page import gates_page
from steps.lib.metric_columns import metrics_page
from steps.lib.questions import Question, load_questions
from steps.lib.reference_files import files_page, on_one_line
from steps.lib.sql import VIEWS
from steps.lib.tables import SCHEMA_VERSION, TABLES

FOLDER = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """Text of each page, by its file's name."""
    return {
        "tables.md": tables_page(),
        "metrics.md": metrics_page(),
        "gates.md": gates_page(),
        "published.md": published_page(),
        "files.md": files_page(),
        "questions.md": questions_page(),
    }


def tables_page() -> str:
    """The page, in Markdown."""
    head = (
        "# Tables\n\nGenerated from `steps/lib/tables.py` by `make docs`; schema version "
        f"{SCHEMA_VERSION}. Views of the same names are what questions and `cnibench sql` see.\n"
    )
    return head + "".join(_table(name, columns) for name, columns in TABLES.items())


def published_page() -> str:
    """What sources have published, with what may be concluded from it; in Markdown."""
    connection = duckdb.connect()
    for view in ("published", "published_conclusions"):
        body = (VIEWS / f"{view}.sql").read_text(encoding="utf-8")
        connection.execute(f"create view {view} as {body}")
    lines = [
        "# Published figures\n\nGenerated from `queries/views/published*.sql` by `make docs`. "
        "`cnibench ask beside-published --campaign NAME`\nshows them beside what was measured "
        "here; [how, and what may be concluded](method/sources.md).\nDifferences of method stand "
        "at the head of each matrix file.\n\n"
        "| source | published as | path | traffic | streams | figure | unit | ours |\n"
        "|---|---|---|---|---|---|---|---|"
    ]
    found = connection.execute(
        "select source, published_as, path, traffic, streams, if(published_low = published_high, "
        "published_low::varchar, published_low || ' to ' || published_high), unit, "
        "array_to_string(ours, ', ') from published"
    ).fetchall()
    lines += [f"| {' | '.join('-' if v is None else str(v) for v in row)} |" for row in found]
    lines += ["", "| source | unit | what may be concluded |", "|---|---|---|"]
    said = connection.execute("select * from published_conclusions").fetchall()
    lines += [f"| {source} | {unit or '-'} | {may} |" for source, unit, may in said]
    return "\n".join(lines) + "\n"


def _table(name: str, columns: tuple[Column, ...]) -> str:
    return "\n".join(_lines(name, columns)) + "\n"


def _lines(name: str, columns: tuple[Column, ...]) -> Iterator[str]:
    yield from ("", f"## {name}", "", "| column | type | unit | meaning |", "|---|---|---|---|")
    for c in columns:
        yield f"| `{c.name}` | {_type(c)} | {c.unit} | {c.description} |"


def _type(column: Column) -> str:
    return str(column.type).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def questions_page() -> str:
    """The page, in Markdown."""
    head = (
        "# Questions\n\nGenerated from `queries/` by `make docs`. `cnibench ask NAME` answers one; "
        "in SQL it is a macro of the same name, with `_` for `-`.\n"
    )
    return head + "".join(
        "\n".join(_question(name, question)) + "\n" for name, question in load_questions().items()
    )


def _question(name: str, question: Question) -> Iterator[str]:
    yield from ("", f"## {name}", "", on_one_line(question.description))
    yield from (
        "",
        f"Grain: {on_one_line(question.grain)}. For example: {on_one_line(question.example)}",
    )
    if question.parameters:
        yield from ("", "| parameter | meaning |", "|---|---|")
        yield from (f"| `{p.name}` | {on_one_line(p.description)} |" for p in question.parameters)
    yield from ("", "| column | unit | meaning |", "|---|---|---|")
    yield from (
        f"| `{c.name}` | {c.unit} | {on_one_line(c.description)} |" for c in question.columns
    )


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
