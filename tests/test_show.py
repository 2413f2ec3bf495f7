"""Answers on a terminal of any width: nothing of a row is left out, and no number is cut."""

import io

import pytest
from rich.console import Console

from cnibench import show

COLUMNS = ("path", "plugin", "is_baseline", "rate_median", "rate_ratio", "connections", "note")
ROWS = [
    ("same-node", "a-plugin-with-a-name-of-its-own", "False", "15.81", "0.7565", "1", "a tie: few"),
    ("cross-node", "other", "True", "9,876,543,210", "", "23", "the order may be by chance"),
]


@pytest.mark.parametrize("width", [20, 60, 80, 100, 140, 240])
def test_no_number_is_cut_and_no_column_is_left_out(width: int) -> None:
    written = io.StringIO()
    show.lines(COLUMNS, ROWS, Console(file=written, width=width))
    words = written.getvalue().split()
    assert {"15.81", "0.7565", "9,876,543,210", "23", "chance", "few"} <= set(words)
    assert max(map(len, written.getvalue().splitlines())) <= width


def test_rows_are_side_by_side_where_they_fit_and_else_a_line_for_each_column() -> None:
    for width, is_table in ((240, True), (60, False)):
        written = io.StringIO()
        show.lines(COLUMNS, ROWS, Console(file=written, width=width))
        assert ("rate median: 15.81" in written.getvalue()) == (not is_table)
