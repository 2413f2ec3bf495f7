"""The benchmark of questions reads from DuckDB's plans what their bare scans are."""

from benchmarks.queries import _columns


def test_words_of_a_filters_text_are_no_columns() -> None:
    found = {"Projections": ["cell"], "Filters": ["(path != 'cross-node')", "(role = 'cell')"]}
    known = frozenset({"cell", "node", "path", "role", "streams"})
    assert _columns({"extra_info": found}, known) == {"cell", "path", "role"}
