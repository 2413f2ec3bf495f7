"""The statistics, on the best public raw data: three independent runs a side, 13 plain variants."""

import statistics
from itertools import combinations
from pathlib import Path

import pytest
from scipy import stats

from steps.lib.comparing.compare import Asked, compare
from steps.lib.comparing.inference import Verdict, holm, welch
from steps.lib.database import open_database
from steps.lib.imports import read_csv, store_import
from steps.lib.questions import ask
from steps.lib.store import open_store
from tests.shared_data import find, infrabuilder

# test: (pairs with p < 0.05, left after Holm, p of the two that cannot be told apart)
EXPECTED = {
    "dts": (47, 10, 0.47), "dtm": (17, 2, 0.48), "dus": (34, 4, 0.69), "dum": (10, 2, 0.64),
    "sts": (39, 7, 0.76), "stm": (26, 2, 0.44), "sus": (44, 1, 0.27), "sum": (21, 0, 0.94),
}  # fmt: skip
# The same on the plain scale, as it is published: test: (p < 0.05, left after Holm)
PLAIN = {
    "dts": (48, 3), "dtm": (18, 2), "dus": (33, 3), "dum": (12, 2),
    "sts": (39, 12), "stm": (26, 2), "sus": (44, 2), "sum": (20, 0),
}  # fmt: skip
ALIKE = ("antrea", "cilium")


def runs(test: str) -> dict[str, list[float]]:
    """Receiver's bandwidth of each run, by plain variant: no encryption, no VPP, no bare metal."""
    found: dict[str, list[float]] = {}
    for row in infrabuilder():
        plain = row["encryption"] in ("", "none", "no") and row["variant"] != "baremetal"
        if plain and "vpp" not in row["variant"] and row["test"] == test and row["bandwidth_bps"]:
            found.setdefault(row["variant"], []).append(float(row["bandwidth_bps"]))
    return found


@pytest.mark.parametrize("test", EXPECTED)
def test_pairs_that_differ_before_and_after_the_correction(test: str) -> None:
    sides = runs(test)
    assert len(sides) == 13
    p = [welch(sides[a], sides[b]).p for a, b in combinations(sides, 2)]
    differ, left, _ = EXPECTED[test]
    assert (len(p), sum(x < 0.05 for x in p)) == (78, differ)
    assert sum(x < 0.05 for x in holm(p)) == left


@pytest.mark.parametrize("test", PLAIN)
def test_the_published_counts_are_those_of_the_plain_scale(test: str) -> None:
    sides = runs(test)
    p = [
        float(stats.ttest_ind(sides[a], sides[b], equal_var=False).pvalue)
        for a, b in combinations(sides, 2)
    ]
    assert (sum(x < 0.05 for x in p), sum(x < 0.05 for x in holm(p))) == PLAIN[test]


@pytest.mark.parametrize("test", EXPECTED)
def test_two_plugins_cannot_be_told_apart(test: str) -> None:
    sides = runs(test)
    assert welch(*(sides[name] for name in ALIKE)).p == pytest.approx(EXPECTED[test][2], abs=0.006)


def test_runs_of_one_configuration_vary_as_published() -> None:
    spread = [statistics.stdev(v) / statistics.mean(v) for v in runs("dts").values()]
    assert 100 * max(spread) < 30


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with the published rows, as `cnibench import` leaves it."""
    infrabuilder()
    folder = str(tmp_path_factory.mktemp("published"))
    store_import(open_store(folder), "published", read_csv(find() or Path()))
    return folder


def test_the_table_of_means_and_deviations_is_that_of_the_file(imported: str) -> None:
    answer = ask(open_database(open_store(imported)), "spread", "published")
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    table = {
        (row["plugin"], row["cell"]): (row["blocks"], row["value_mean"], row["value_deviation"])
        for row in rows
        if row["metric"] == "throughput_gbits_per_s"
    }
    for test in EXPECTED:
        for variant, values in runs(test).items():
            gbits = [value / 1e9 for value in values]
            expected = (len(gbits), statistics.mean(gbits), statistics.stdev(gbits))
            assert table[variant, test] == pytest.approx(expected)


def test_the_command_tells_two_plugins_apart_in_none_of_eight_tests(imported: str) -> None:
    compared = compare([f"plugin={name}" for name in ALIKE], imported, Asked())
    assert {line.cell_id for line in compared.lines} == set(EXPECTED)
    assert {line.verdict for line in compared.lines} == {Verdict.equal, Verdict.inconclusive}
    assert compared.family == len(EXPECTED)
