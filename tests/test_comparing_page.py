"""The page that `cnibench compare --html` writes, of small real stores."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.errors import CnibenchError
from steps.lib.store import open_store, write_rows
from tests.report_page import Page, is_sound, is_still
from tests.store_rows import full
from tests.test_comparing import SAME, SLOW, fill

NOISY = (10.0, 14.0, 7.0, 11.0, 8.0)


def written(folder: Path, *arguments: str) -> str:
    """The page of a comparison of stores in a folder."""
    file = folder / "comparison.html"
    store = ("--store", str(folder / "results"))
    result = CliRunner().invoke(app, ["compare", *arguments, *store, "--html", str(file)])
    if isinstance(result.exception, CnibenchError):
        raise result.exception
    html = file.read_text(encoding="utf-8")
    is_sound(Page(html))
    is_still(html, Page(html))
    return unescape(html)


def described(html: str) -> str:
    """What the drawings say in words."""
    return " ".join(re.findall(r"<desc[^>]*>(.*?)</desc>", html))


def put_node(folder: Path, plugin: str, **values: Any) -> None:
    same = {"campaign": "demo", "block": f"{plugin}.base.r1", "install_id": f"install-{plugin}"}
    row = full("nodes", **same, node="node-a", cpus=2) | values
    write_rows(open_store(str(folder / "results")), "nodes", [row], **same)


def test_the_first_screen_says_what_differs_by_how_much_and_how_sure(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME, "b": SLOW, "c": NOISY, "d": SAME[::-1]})
    first = written(tmp_path, "a", "b", "c", "d").split('<section id="runs">')[0]
    assert "Of 3 comparisons, cell by cell: 1 regressed, 1 equal, 1 inconclusive." in first
    assert "blocks a side would show a difference as great as the margin in 1 of" in first
    (row,) = first.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    fields = re.findall(r"<(?:td|small)[^>]*>([^<]+)", row)
    space, minus = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
    assert fields[:4] == ["base", "throughput, Gbit/s", "b", f"{minus}20.0{space}%"]
    assert fields[4:6] == ["▼ regressed", f"{minus}20.9 % … {minus}19.1 %"]
    assert fields[6:8] == [f"10.0, n{space}5", f"8.00, n{space}5"]


def test_every_side_has_its_runs_and_its_mean_in_a_plot(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME, "b": SLOW, "c": (5.0,)})
    words = described(written(tmp_path, "a", "b", "c"))
    assert "tcp with a: 10.0 of 5" in words
    assert "tcp with b: ▼ \N{MINUS SIGN}20.0\N{NO-BREAK SPACE}% of 5" in words
    assert "tcp with c: ? \N{MINUS SIGN}50.0\N{NO-BREAK SPACE}% of 1" in words


def test_what_must_not_be_compared_is_not_drawn_and_has_its_reason(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME})
    fill(open_store(str(tmp_path / "new")), {"a": SLOW}, environment_fingerprint="f" * 64)
    html = written(tmp_path, f"store={tmp_path / 'results'}", f"store={tmp_path / 'new'}")
    assert "Nothing could be compared, so nothing is known of any difference." in html
    assert "environment fingerprints differ: eeeeeeeeeeee, ffffffffffff" in html
    assert described(html).count("not compared") == 1
    assert "▼" not in html.split("<main>")[1].replace("▼ worse", "")


def test_facts_of_the_environments_that_differ_are_named_and_the_others_counted(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path / "results"))
    fill(store, {"a": SAME}, install_id="install-a")
    fill(store, {"b": SAME[::-1]}, install_id="install-b")
    assert "equal in all that is on record (1 fact)" in written(tmp_path, "a", "b")
    for plugin, version in (("a", "6.1"), ("b", "6.2")):
        put_node(tmp_path, plugin, kernel=version)
    html = written(tmp_path, "a", "b")
    assert "1 of 3 facts on record of the environments differ: kernel of node" in html
    assert re.search(r"kernel</td><td[^>]*>6.1</td><td[^>]*>6.2</td>", html)
    assert "No difference is shown." in html


def test_a_page_that_cannot_be_written_is_refused_by_its_option(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME, "b": SAME})
    file = str(tmp_path / "none" / "page.html")
    arguments = ["compare", "a", "b", "--store", str(tmp_path / "results"), "--html", file]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CnibenchError)
    assert str(result.exception).startswith(f"--html {file}: cannot be written")


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME, "b": SLOW})
    assert written(tmp_path, "a", "b") == written(tmp_path, "a", "b")


@pytest.mark.parametrize("sides", [("a",), ("a", "z")])
def test_sides_that_are_not_there_write_no_page(tmp_path: Path, sides: tuple[str, ...]) -> None:
    fill(open_store(str(tmp_path / "results")), {"a": SAME})
    with pytest.raises(CnibenchError):
        written(tmp_path, *sides)
    assert not (tmp_path / "comparison.html").exists()
