"""Questions by every way of asking: any store, DuckDB's own command line, every form."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cnibench import show
from cnibench.cli import app
from cnibench.cli_sql import run_shell
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.imports import read_csv, store_import
from steps.lib.questions import answer, ask, load_questions
from steps.lib.sql import script
from steps.lib.store import Store, open_store
from tests.filled_store import fill, put_given
from tests.report_rows import make_rows, make_small_job
from tests.store_rows import put_campaign
from tests.test_import import GOOD, table
from tests.test_queries import equal

if TYPE_CHECKING:
    from tests.seaweedfs import S3Server

pytest_plugins = ["tests.seaweedfs"]

ROOT = Path(__file__).parents[1]
SHELL = Path(sys.executable).with_name("duckdb")


def put_campaigns(store: Store, tmp_path: Path) -> None:
    """One that is made up, one that is imported, and for each question one that it has rows of."""
    fill(store, make_rows(make_small_job("measured")))
    lines = (GOOD | {"run": str(n)} for n in (1, 2, 3))
    store_import(store, "imported", read_csv(table(tmp_path / "published.csv", *lines)))
    for name, question in load_questions().items():
        put_given(store, name, question)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("filled")
    store = open_store(str(folder / "results"))
    put_campaigns(store, folder)
    return store


Answers = dict[str, list[dict[str, Any]]]


def answers(database: duckdb.DuckDBPyConnection) -> Answers:
    """To every question, about all campaigns."""
    found = {}
    for name, question in load_questions().items():
        answered = answer(database, name, question, {})
        found[name] = answered.relation.to_arrow_table().to_pylist()
    return found


def assert_same(found: Answers, expected: Answers) -> None:
    """Numbers may differ by the order in which they were added up."""
    for key, rows in expected.items():
        assert len(found[key]) == len(rows), key
        for one, other in zip(found[key], rows, strict=True):
            wrong = {n: (one[n], v) for n, v in other.items() if not equal(one[n], v)}
            assert not wrong, (key, wrong)


@pytest.mark.s3
def test_every_question_has_the_same_rows_in_a_directory_and_in_a_bucket(
    filled: Store, s3_server: "S3Server", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3_server.environment, "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    bucket = open_store(f"s3://{s3_server.new_bucket()}/results")
    put_campaigns(bucket, tmp_path)
    here = answers(open_database(filled))
    for campaign in ("measured", "imported", *load_questions()):
        assert [row for rows in here.values() for row in rows if row["campaign"] == campaign]
    silent = [name for name, rows in here.items() if name not in {r["campaign"] for r in rows}]
    assert not silent, "each has rows to compare"
    assert_same(answers(open_database(bucket)), here)


def test_the_script_gives_duckdbs_command_line_the_same_answers(
    filled: Store, tmp_path: Path
) -> None:
    """Of another version of DuckDB than the one in here, as it happens."""
    (tmp_path / "open.sql").write_text(script(filled))
    expected = answers(open_database(filled))
    copies = [
        f"copy (from {name.replace('-', '_')}()) to '{tmp_path}/{name}.parquet';"
        for name in expected
    ]
    command = [str(SHELL), "-bail", "-init", str(tmp_path / "open.sql")]
    subprocess.run(command, input="\n".join(copies), text=True, check=True, timeout=60)
    found = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in expected}
    assert_same(found, expected)


def test_the_page_about_sql_is_true(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a directory: DuckDB's extension for buckets has to be fetched from the internet."""
    page = (ROOT / "docs/how-to/ask-with-sql.md").read_text().replace("'demo'", "'measured'")
    monkeypatch.chdir(Path(filled.address).parent)
    (tmp_path / "open.sql").write_text(script(filled))
    for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL):
        command = [str(SHELL), "-bail", "-init", str(tmp_path / "open.sql"), "-json"]
        found = subprocess.run(command, input=block, text=True, capture_output=True, check=True)
        assert '"plugin":"bravo"' in found.stdout
    (notebook,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(notebook, names)
    expected = ask(open_database(filled), "fastest-plugin", "measured").rows
    assert names["ranking"].fetchall() == expected


def test_the_script_for_a_bucket_holds_no_key(
    s3_server: "S3Server", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    text = script(open_store(f"s3://{s3_server.new_bucket()}/results"))
    assert s3_server.host in text
    secrets = [v for k, v in s3_server.environment.items() if k.startswith("AWS_S")]
    assert not [secret for secret in secrets if secret in text]


def test_the_shell_has_tables_views_and_questions(
    filled: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    statement = "select count(*) as cells from comparable; from coverage(campaign := 'measured')"
    assert run_shell(filled, "-json", "-c", statement) == 0
    out = capfd.readouterr().out
    assert '"plugin":"bravo"' in out


def test_a_shell_needs_a_terminal(filled: Store) -> None:
    command = [sys.executable, "-m", "cnibench", "sql", "--store", filled.address]
    found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert found.returncode == 2
    assert b"which needs a terminal" in found.stderr


def shown(*arguments: str) -> bytes:
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    return found.stdout_bytes


def test_every_answer_has_every_form(
    filled: Store, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    database = open_database(filled)
    for name, question in load_questions().items():
        answered = ask(database, name, "measured")
        forms = {}
        for form in show.Format:
            show.answer(answered, form)
            sys.stdout.flush()
            forms[form.value] = capfdbinary.readouterr().out
        columns = [column.name for column in question.columns]
        assert all(list(row) == columns for row in json.loads(forms["json"]))
        parquet = pq.read_table(io.BytesIO(forms["parquet"]))
        assert (parquet.column_names, parquet.num_rows) == (columns, len(answered.rows))
        assert forms["csv"].decode().startswith(",".join(columns))
        markdown = forms["markdown"].decode().splitlines()
        assert markdown[:2] == [f"> {answered.remark}", ""]
        assert len(markdown) == 4 + len(answered.rows)


def test_parquet_comes_from_the_command_too(filled: Store) -> None:
    asked = ("ask", "coverage", "--campaign", "measured", "--store", filled.address)
    table = pq.read_table(io.BytesIO(shown(*asked, "--format", "parquet")))
    assert table.num_rows == 4
    statement = ("sql", "select 1 as one", "--store", filled.address, "--format", "parquet")
    assert pq.read_table(io.BytesIO(shown(*statement))).to_pylist() == [{"one": 1}]


def test_another_parameter_is_given_by_name(filled: Store) -> None:
    asked = ("ask", "environment-differences", "--campaign", "measured", "--format", "json")
    store = ("--store", filled.address)
    rows = json.loads(shown(*asked, *store, "--parameter", "against=imported"))
    assert {row["against"] for row in rows} == {"imported"}
    with pytest.raises(InputError, match="did you mean 'against'"):
        ask(open_database(filled), "environment-differences", "measured", agianst="imported")
    with pytest.raises(InputError, match="not in the store"):
        ask(open_database(filled), "environment-differences", "measured", against="nothing")


def test_a_campaign_that_is_running_says_so_in_every_answer(tmp_path: Path) -> None:
    rows = make_rows(make_small_job("running", 1))
    begun = rows | {"blocks": rows["blocks"][:1], "measurements": rows["measurements"][:1]}
    store = open_store(str(tmp_path / "results"))
    fill(store, begun | {"nodes": rows["nodes"][:2]})
    database = open_database(store)
    for name in load_questions():
        remark = ask(database, name).remark
        assert remark and remark.startswith("campaign running (running, or interrupted): of "), name


@pytest.mark.parametrize("what", ["nothing measured", "all failed", "one plugin"])
def test_a_campaign_without_comparisons_has_answers_that_say_so(tmp_path: Path, what: str) -> None:
    job = make_small_job("odd", 1)
    rows = make_rows(job, fail_all=what == "all failed")
    if what == "nothing measured":
        rows |= {"blocks": [], "nodes": [], "measurements": []}
    if what == "one plugin":
        for name in ("planned", "blocks", "measurements"):
            rows[name] = [row for row in rows[name] if row["plugin"] == "bravo"]
    store = open_store(str(tmp_path / "results"))
    fill(store, rows)
    found = ask(open_database(store), "fastest-plugin")
    values = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert all(row["note"] for row in values if row["blocks"] < 3)
    database = open_database(store)
    for name in load_questions():
        show.answer(ask(database, name), show.Format.table)
    if what != "one plugin":
        assert {row["rank"] for row in values} == {None}
        said = shown("ask", "spread", "--store", store.address).decode()
        assert "0 measured" in said
        assert "no rows: nothing that was measured answers this" in said


def test_a_store_of_an_old_cnibench_lacks_columns_and_is_answered(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "results"))
    fill(store, make_rows(make_small_job("old", 1)))
    for path in Path(store.address).rglob("measurements/**/*.parquet"):
        whole = pq.read_table(path, partitioning=None)
        pq.write_table(whole.select(whole.column_names[:24]), path)
    elsewhere = duckdb.connect()
    elsewhere.execute(script(store))
    for name in load_questions():
        ask(elsewhere, name)
    notes = {row[-1] for row in ask(open_database(store), "cycles-per-packet").rows}
    assert "no comparable run that counted packets, see coverage" in str(notes)


def test_a_store_without_a_campaign_says_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "results"))
    with pytest.raises(InputError, match="the store holds no campaign; run one"):
        ask(open_database(store), "coverage")
    put_campaign(store)
    assert ask(open_database(store), "coverage").remark == "campaign demo: of 0 cells 0 measured"
