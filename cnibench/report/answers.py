"""What the store answers about one campaign: the report shows these rows."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import duckdb

from steps.lib.questions import ask

Row = Mapping[str, Any]


class Answers:
    """Answers of the questions in ``queries/``, asked for one campaign, each one once."""

    def __init__(self, database: duckdb.DuckDBPyConnection, campaign: str) -> None:
        """Ask ``database`` about ``campaign``."""
        self._database = database
        self._campaign = campaign
        self._asked = cache(self._ask)

    def __call__(self, question: str) -> Sequence[Row]:
        """All rows of the answer, by column name."""
        return self._asked(question)

    def _ask(self, question: str) -> Sequence[Row]:
        found = ask(self._database, question, self._campaign)
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]
