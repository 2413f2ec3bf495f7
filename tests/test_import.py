"""Importing published results: every line arrives, and no number comes from a damaged one."""

import csv
import os
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.database import open_database, sql
from steps.lib.errors import InputError
from steps.lib.imports import Imported, read_csv, store_import
from steps.lib.imports.csv_infrabuilder import COLUMNS
from steps.lib.questions import ask
from steps.lib.store import open_store
from tests.store_rows import put_campaign

SHARED = Path(os.environ.get("CNIBENCH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
PUBLISHED = SHARED / "infrabuilder-2024.csv"
GOOD = {
    "variant": "alpha", "run": "1", "test": "dts", "target": "pod", "protocol": "tcp",
    "streams": "1", "omit_s": "1", "duration_s": "60", "measured_s": "60.0004",
    "started_at": "Sat, 27 Jan 2024 14:43:53 GMT", "iperf_version": "iperf 3.16",
    "tcp_mss": "8860", "bandwidth_bps": "6781012163.79", "sent_bps": "6781996013.5",
    "retransmits": "3111", "rtt_mean_us": "1626.0", "status": "ok",
}  # fmt: skip
DAMAGE = {
    "cut short": ({"measured_s": "41.2"}, "it ran 41.2 s of 60 s"),
    "a zero": ({"bandwidth_bps": "0"}, "absent or zero"),
    "no rate": ({"bandwidth_bps": ""}, "absent or zero"),
    "not a number": ({"bandwidth_bps": "NaN"}, "not a number"),
    "a unit in the number": ({"bandwidth_bps": "6.7 Gbits"}, "not a number"),
    "more than was sent": ({"bandwidth_bps": "67810121637.9"}, "more arrived than was sent"),
    "counts that disagree": ({"packets": "100", "lost_packets": "50"}, "its counts make 50"),
    "an unknown status": ({"status": "okk"}, "status 'okk' is not known"),
    "a failed run with sums": ({"status": "no-json"}, "no-json"),
    "a count no column holds": ({"retransmits": "1e30"}, "not a whole number that fits"),
    "more lost than sent": ({"lost_percent": "900"}, "lost_percent is 900"),
    "a broken date": ({"started_at": "Sat, 99"}, "not a date"),
}


def table(path: Path, *lines: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(lines)
    return path


def rows(store: Path, statement: str) -> list[tuple[Any, ...]]:
    return sql(open_database(open_store(str(store))), statement)[1]


def put(store: Path, found: Imported, campaign: str = "c") -> int:
    return store_import(open_store(str(store)), campaign, found).new


def test_what_was_measured_here_is_asked_about_although_an_import_is_newer(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "s"))
    put_campaign(store, "measured", environment_class="single-kernel")
    put(tmp_path / "s", read_csv(table(tmp_path / "a.csv", GOOD)), "imported")
    database = open_database(store)
    ask(database, "coverage")
    assert database.execute("select getvariable('campaign')").fetchall() == [("measured",)]


def test_a_good_line_is_a_labelled_row_that_says_where_it_stands(tmp_path: Path) -> None:
    found = read_csv(table(tmp_path / "a.csv", GOOD))
    put(tmp_path / "s", found)
    wanted = "environment_class, status, throughput_bits_per_s, cpu_busy_s, gates[1].evidence"
    ((kind, status, rate, cpu, evidence),) = rows(
        tmp_path / "s", f"select {wanted} from measurements"
    )
    assert (kind, status, rate, cpu) == ("imported", "ok", 6781012163.79, None)
    assert evidence == f"a.csv sha256 {found.digest}, line 2"


def test_a_run_that_ended_late_is_kept_and_says_so(tmp_path: Path) -> None:
    (run,) = read_csv(table(tmp_path / "a.csv", GOOD | {"measured_s": "65.6"})).runs
    assert (run.status, run.remark) == ("ok", "it took 65.6 s instead of 60 s")


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_line_is_a_row_with_a_reason_and_no_number(tmp_path: Path, case: str) -> None:
    changes, reason = DAMAGE[case]
    (run,) = read_csv(table(tmp_path / "a.csv", GOOD | changes)).runs
    assert run.status == "invalid" and not run.metrics
    assert reason in str(run.reason)


def test_a_line_that_stands_twice_counts_for_nothing(tmp_path: Path) -> None:
    (run,) = read_csv(table(tmp_path / "a.csv", GOOD, GOOD)).runs
    assert run.status == "invalid" and "2 lines" in str(run.reason)


def test_the_same_file_again_adds_nothing_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", GOOD)
    assert [put(tmp_path / "s", read_csv(path)) for _ in range(2)] == [1, 0]
    table(path, GOOD | {"retransmits": "1"})
    with pytest.raises(InputError, match="holds something else"):
        put(tmp_path / "s", read_csv(path))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"Connecting to host\n", b'a,"b'])
def test_what_is_no_such_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.csv"):
        read_csv(path)


def test_no_report_is_written_of_an_imported_campaign(tmp_path: Path) -> None:
    put(tmp_path / "s", read_csv(table(tmp_path / "a.csv", GOOD)))
    result = CliRunner().invoke(app, ["report", "--store", str(tmp_path / "s")])
    assert isinstance(result.exception, InputError) and "is imported" in str(result.exception)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_bytes_never_crash_the_reader_and_never_move_a_line_far(
    tmp_path: Path, seed: int
) -> None:
    """A digit that became another cannot be seen in one line of text; a rate then still has to
    agree with what was sent."""
    chance = random.Random(seed)
    path = table(tmp_path / "a.csv", *(GOOD | {"run": str(n)} for n in range(1, 6)))
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) - 1)
        match chance.randrange(3):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                del content[at : at + chance.randint(1, 200)]
            case 2:
                content[at:at] = content[max(0, at - 100) : at]
    path.write_bytes(content)
    try:
        found = read_csv(path)
    except InputError:
        return
    for run in found.runs:
        assert (run.status == "ok") == bool(run.metrics) or run.role == "idle"
        if run.metrics:
            sent, got = (run.metrics[f"{k}_bits_per_s"] for k in ("sent", "throughput"))
            assert 0 < got <= 1.02 * sent


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"no published data at {PUBLISHED}")
def test_all_of_the_published_table_arrives_and_ranks_with_its_label(tmp_path: Path) -> None:
    store = tmp_path / "s"
    assert put(store, read_csv(PUBLISHED)) == 609
    counts = "select status, count(*) from measurements where role = 'cell' group by 1 order by 1"
    assert rows(store, counts) == [("failed", 3), ("invalid", 1), ("ok", 536)]
    answered = ask(open_database(open_store(str(store))), "fastest-plugin", "c")
    found = [dict(zip(answered.columns, row, strict=True)) for row in answered.rows]
    candidates = [r for r in found if not r["is_baseline"]]
    assert len({r["plugin"] for r in candidates}) == 22
    assert all(r["blocks_planned"] == 3 for r in found)
    assert all(r["note"].startswith("imported") for r in found)
