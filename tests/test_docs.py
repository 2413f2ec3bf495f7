"""The how-to pages are true: each one is followed here, word by word."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from steps.lib.catalog import CATALOG, Catalog, Job, load_job
from steps.lib.database import open_database
from steps.lib.executor import run_campaign
from steps.lib.gates import GATES
from steps.lib.gates.pitfalls import pitfalls
from steps.lib.metric_columns import columns, measured
from steps.lib.models import Plugin, Profile
from steps.lib.questions import Question, answer, load_question, load_questions
from steps.lib.reference import pages
from steps.lib.reference_files import on_one_line
from steps.lib.store import open_store
from steps.lib.tables import TABLES, schema
from tests.jobs import LENIENT, job, matrix

ROOT = Path(__file__).parents[1]
HOW_TO = ROOT / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A copy of the real catalog, to add to."""
    return Catalog(Path(shutil.copytree(CATALOG, tmp_path / "catalog")))


def add(catalog: Catalog, folder: str, page: str) -> str:
    """Write the page's file where the page says; its name is in it."""
    (document,) = blocks(page, "yaml")
    name = re.search(r"^name: (\S+)$", document, re.MULTILINE)
    assert name
    (catalog.root / folder / f"{name[1]}.yaml").write_text(document, encoding="utf-8")
    return name[1]


def statuses(of: Job, store: Path) -> list[tuple[str, str, str]]:
    run_campaign(of, str(store), lambda event: None)
    return (
        open_database(open_store(str(store)))
        .execute("select plugin, profile, status from measurements")
        .fetchall()
    )


def with_entries(of: Job, plugin: Plugin | None = None, profile: Profile | None = None) -> Job:
    """The job, with a plugin or profile in the place of its own."""
    changes: dict[str, object] = {}
    campaign: dict[str, object] = {}
    if plugin:
        changes["plugins"], campaign["plugins"] = (plugin,), (plugin.name,)
    if profile:
        changes["profiles"], campaign["profiles"] = (profile,), (profile.name,)
    return of.model_copy(update=changes | {"campaign": of.campaign.model_copy(update=campaign)})


@pytest.mark.namespaces
def test_adding_a_plugin(catalog: Catalog, tmp_path: Path) -> None:
    plugin = catalog.plugins.load(add(catalog, "plugins", "add-a-plugin"))
    assert plugin.install.mechanism == "cni-chain"
    of = with_entries(job(("bridge-vxlan",), of=matrix(), target="docs"), plugin=plugin)
    assert statuses(of, tmp_path / "results") == [("bridge-vxlan-8472", "base", "ok")]


@pytest.mark.namespaces
def test_adding_a_profile(catalog: Catalog, tmp_path: Path) -> None:
    profile = catalog.profiles.load(add(catalog, "profiles", "add-a-profile"))
    of = with_entries(job(("bridge-routes",), of=matrix(), target="docs"), profile=profile)
    assert statuses(of, tmp_path / "results") == [("bridge-routes", "small-buffers", "ok")]


@pytest.mark.namespaces
def test_adding_a_cell(catalog: Catalog, tmp_path: Path) -> None:
    added = catalog.matrices.load(add(catalog, "matrices", "add-a-cell"))
    assert [cell.id for cell in added.cells] == [
        "cross-node.udp-64-bytes",
        "cross-node.udp-rr-1000",
    ]
    of = job(("bridge-routes",), of=added.model_copy(update={"limits": LENIENT}), target="docs")
    assert statuses(of, tmp_path / "results") == [("bridge-routes", "base", "ok")] * 2


def test_a_campaign_names_what_was_added(catalog: Catalog, tmp_path: Path) -> None:
    names = {
        folder: add(catalog, folder, f"add-a-{kind}")
        for folder, kind in (("plugins", "plugin"), ("profiles", "profile"), ("matrices", "cell"))
    }
    campaign = tmp_path / "mine.yaml"
    campaign.write_text(
        "name: mine\ntitle: Mine\ntarget: {kind: namespaces}\nrepeats: 1\nseed: 1\n"
        f"plugins: [{names['plugins']}]\nprofiles: [{names['profiles']}]\n"
        f"matrix: {names['matrices']}\n"
    )
    assert load_job(campaign, catalog).plugins[0].name == names["plugins"]


def test_adding_a_question(tmp_path: Path) -> None:
    ((statement,), (description,)) = (
        blocks("add-a-question", "sql"),
        blocks("add-a-question", "yaml"),
    )
    (tmp_path / "slowest-start.sql").write_text(statement)
    (tmp_path / "slowest-start.yaml").write_text(description)
    question = load_question("slowest-start", tmp_path)
    for test in question.unit_tests:
        database = duckdb.connect()
        for table in TABLES:
            rows = schema(table).empty_table()  # noqa: F841 (DuckDB finds it)
            database.execute(f"create table {table} as select * from rows")
        for table, given in test.given.items():
            for row in given:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                database.execute(
                    f"insert into {table} ({names}) values ({marks})", list(row.values())
                )
        found = answer(database, "slowest-start", question, {}, tmp_path)
        assert [dict(zip(found.columns, r, strict=True)) for r in found.rows] == list(test.expect)


def test_measuring_a_cluster(tmp_path: Path) -> None:
    (document,) = blocks("measure-a-cluster", "yaml")
    campaign = tmp_path / "mine.yaml"
    campaign.write_text(document)
    loaded = load_job(campaign)
    assert loaded.campaign.target.kind == "kubernetes"
    assert all("kubernetes" in plugin.targets for plugin in loaded.plugins)


def test_every_verb_of_the_lab_that_a_page_names_exists() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "lab", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    # As in ``python -m lab --name other up``.
    named = r"python -m lab(?: --\w+ \S+)* ([a-z-]+)"
    verbs = re.findall(named, (HOW_TO / "use-the-lab.md").read_text(encoding="utf-8"))
    assert verbs
    assert set(verbs) <= set(re.findall(r"^\W*([a-z-]+)  ", told, re.MULTILINE))


REFERENCE = ["tables.md", "metrics.md", "gates.md", "published.md", "files.md", "questions.md"]


@pytest.mark.parametrize("page", REFERENCE)
def test_reference_pages_are_generated_from_the_code(page: str) -> None:
    found = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert found == pages()[page], "run `make docs`"


def test_what_a_reference_page_shows_as_code_is_not_escaped() -> None:
    assert on_one_line("`a < b` and\n c < d | e") == "`a < b` and c &lt; d \\| e"


def test_every_measured_column_says_how_it_is_measured_what_it_is_not_and_from_where() -> None:
    assert {column.name for _, column in columns()} == set(measured())


def test_every_offence_names_a_test_that_exists_and_every_gate_finds_something() -> None:
    written = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("test_*.py"))
    tests = {o.test for o in pitfalls().offences if o.test}
    assert {test for test in tests if f"def {test}(" not in written} == set()
    rules = [row for section in pitfalls().sections for row in section.rows]
    assert {gate for row in rules for gate in row.gates} == {gate.name for gate in GATES}


def test_every_question_is_described() -> None:
    known: dict[str, Question] = load_questions()
    assert {"fastest-plugin", "overhead", "profile-gain", "coverage", "validity"} <= set(known)


PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
    *HOW_TO.glob("*.md"),
    *(ROOT / "docs" / "method").glob("*.md"),
]


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for path in PAGES])
def test_every_file_and_verb_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"
    for test in re.findall(r"`(tests/\w+\.py)`", text):
        assert (ROOT / test).exists(), f"{page}: {test}"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)
