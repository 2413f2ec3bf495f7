"""`cnibench compare`, on small real stores."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.errors import CnibenchError
from steps.lib.store import Store, open_store, write_rows
from tests.store_rows import full, measurement, put_campaign, put_measurement

CELL = "cross-node.tcp"


def put_block(store: Store, plugin: str, repeat: int, gbits: float, **values: Any) -> None:
    """One block that measured one cell; its host-to-host reference comes twice if it is given."""
    reference = values.pop("reference", None)
    block = f"{plugin}.base.r{repeat}"
    same = {
        "block": block,
        "plugin": plugin,
        "repeat": repeat,
        "environment_class": "single-kernel",
        "environment_fingerprint": "e" * 64,
    } | values
    id_ = f"{same.get('campaign', 'demo')}-{same['block']}"
    row = measurement(CELL, id_, throughput_bits_per_s=gbits * 1e9)
    put_measurement(store, row | same)
    for end in ("start", "end") if isinstance(reference, float) else ():
        near = reference * (1.001 if end == "end" else 1.0) * 1e9
        row = measurement(f"reference.{end}", f"{id_}-{end}", throughput_bits_per_s=near)
        put_measurement(store, row | same | {"role": "reference", "path": "host-to-host"})


def fill(store: Store, sides: dict[str, Sequence[float]], **values: object) -> None:
    put_campaign(store, str(values.get("campaign", "demo")), method_version=2)
    for plugin, rates in sides.items():
        for repeat, rate in enumerate(rates, 1):
            put_block(store, plugin, repeat, rate, **values)


NO_IDLE = {"cpu_idle_baseline_s": 0.0}
SAME = (10.0, 10.1, 9.9, 10.05, 9.95)
SLOW = tuple(0.8 * rate for rate in SAME)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "results")


def run(*arguments: str) -> Any:
    """The verb in this process, which spares a second for each call."""
    return CliRunner().invoke(app, ["compare", *arguments])


def compare(folder: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    result = run(*arguments, "--store", folder, "--format", "json")
    if isinstance(result.exception, CnibenchError):
        return result.exception.exit_code, [], " ".join(str(result.exception).split())
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)["lines"], ""


def test_a_slower_side_regressed_and_the_command_fails(folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SLOW})
    status, (line,), _ = compare(folder, "a", "b")
    assert (status, line["verdict"], line["blocks"]) == (1, "regressed", [5, 5])
    assert line["effect"]["ratio"] == pytest.approx(0.8)
    assert compare(folder, "b", "a")[1][0]["verdict"] == "improved"


def test_sides_within_the_margin_are_equal_and_noisy_ones_inconclusive(folder: str) -> None:
    noisy = (10.0, 14.0, 7.0, 11.0, 8.0)
    fill(open_store(folder), {"a": SAME, "b": SAME[::-1], "c": noisy})
    status, lines, _ = compare(folder, "a", "b", "c")
    assert status == 0
    assert [line["verdict"] for line in lines] == ["equal", "inconclusive"]
    assert "blocks a side would show 5 %" in str(lines[1]["reason"])
    assert compare(folder, "a", "c", "--strict")[0] == 1


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_zero_and_what_is_no_number_enter_no_mean_and_are_counted(
    folder: str, value: float
) -> None:
    fill(open_store(folder), {"a": SAME, "b": (*SAME, 0.0)})
    (file,) = Path(folder).rglob("*measurements*/**/*b.base.r6*/**/*.parquet")
    table = pq.read_table(file)  # Our own store takes no such value.
    place = table.schema.get_field_index("throughput_bits_per_s")
    column = pa.array([value], table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), column), file)
    _, (line,), _ = compare(folder, "a", "b")
    assert (line["verdict"], line["blocks"]) == ("equal", [5, 5])
    assert line["notes"] == ["1 of 6 runs of 'b' have no usable throughput"]


def test_cpu_below_that_of_the_idle_node_leaves_no_mean_unseen(folder: str) -> None:
    store = open_store(folder)
    put_campaign(store, method_version=2)
    for plugin, idle in (("a", 1.0), ("b", 8.0)):
        for repeat in range(1, 6):
            cost = {"cpu_busy_s": 6.0 + repeat, "cpu_window_s": 10.0, "cpu_idle_baseline_s": idle}
            put_block(store, plugin, repeat, 10.0, **cost)
    _, (line,), _ = compare(folder, "a", "b", "--metric", "cpu")
    assert line["blocks"] == [5, 3]
    assert line["notes"] == ["2 of 5 runs of 'b' have no usable cpu"]


@pytest.mark.parametrize("of_second", ["failed", "unsupported", "not asked for"])
def test_a_cell_that_was_measured_and_is_not_any_more_fails_unless_it_cannot_be(
    folder: str, of_second: str
) -> None:
    store = open_store(folder)
    fill(store, {"a": SAME, "b": SAME})
    for repeat, _ in enumerate(SAME, 1):
        put_block(store, "a", repeat, 9.0, cell="same-node.tcp", block=f"a.base.r{repeat}")
    failed = {"status": "failed", "reason": "no route", "throughput_bits_per_s": None}
    asked = {
        "campaign": "demo",
        "plugin": "b",
        "profile": "base",
        "role": "cell",
        "block": "b.base.r1",
    }
    reason = "no such path" if of_second == "unsupported" else None
    if of_second != "not asked for":
        row = full("planned", **asked, cell="same-node.tcp", unsupported_reason=reason)
        write_rows(store, "planned", [row], campaign="demo")
    if of_second == "failed":
        row = measurement("same-node.tcp", "lost", plugin="b", block="b.base.r1", **failed)
        put_measurement(store, row)
    status, lines, _ = compare(folder, "a", "b")
    lost = next(line for line in lines if "same-node" in line["cell"])
    assert (status, lost["verdict"]) == (int(of_second == "failed"), "not_comparable")
    assert lost["is_lost"] == (of_second == "failed") == ("failed: no route" in lost["reason"])


def test_one_block_alone_is_inconclusive_and_a_check_that_saw_nothing_fails(folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": (5.0,)})
    status, (line,), _ = compare(folder, "a", "b")
    assert (status, line["verdict"]) == (1, "inconclusive")
    assert "nothing could be compared, which fails" in run("a", "b", "--store", folder).stdout
    assert "at least 2" in str(line["reason"])


def test_campaigns_of_two_stores_are_sides_and_fingerprints_must_be_equal(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    fill(open_store(old), {"a": SAME})
    fill(open_store(new), {"a": SLOW}, environment_fingerprint="f" * 64)
    sides = (f"store={old}", f"store={new}")
    _, (line,), _ = compare(old, *sides)
    assert (line["verdict"], line["cell"]) == ("not_comparable", f"a base {CELL}")
    assert "fingerprints differ" in str(line["reason"])
    _, (line,), _ = compare(old, *sides, "--label-environments")
    assert line["verdict"] == "regressed"
    assert "environments differ" in str(line["notes"])


@pytest.mark.parametrize("key", ["version", "kernel", "campaign"])
def test_versions_kernels_and_campaigns_are_sides_in_one_store_or_two(
    tmp_path: Path, key: str
) -> None:
    folders = [str(tmp_path / name) for name in ("old", "new")]
    for rates, value, name in ((SAME, "1.0", "night-1"), (SLOW, "2.0", "night-2")):
        for folder in folders:
            store = open_store(folder)
            same = {"campaign": name, "block": "a.base.r1", "install_id": "install-1"}
            fill(store, {"a": rates}, campaign=name, install_id="install-1")
            block = full("blocks", **same, plugin="a", status="ok", plugin_version=value)
            node = full("nodes", **same, node="n", kernel=value)
            write_rows(store, "blocks", [block], **same)
            write_rows(store, "nodes", [node], **same)
    values = ("night-1", "night-2") if key == "campaign" else ("1.0", "2.0")
    for places in ((folders[0], folders[0]), (folders[0], folders[1])):
        sides = [f"{key}={v},store={p}" for v, p in zip(values, places, strict=True)]
        status, (line,), _ = compare(folders[0], *sides)
        assert (status, line["verdict"], line["blocks"]) == (1, "regressed", [5, 5])


def test_classes_of_environments_never_mix_even_when_labels_are_asked_for(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    fill(open_store(old), {"a": SAME})
    fill(open_store(new), {"a": SAME}, environment_class="physical")
    _, (line,), _ = compare(old, f"store={old}", f"store={new}", "--label-environments")
    assert "never mix" in str(line["reason"])


def test_emulated_nodes_are_never_compared(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    fill(open_store(store), {"a": SAME, "b": SLOW}, environment_class="emulated")
    _, (line,), _ = compare(store, "a", "b")
    assert line["verdict"] == "not_comparable"
    assert "emulated nodes" in str(line["reason"])


def test_known_changes_fail_nothing_until_they_grow_or_expire(tmp_path: Path, folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SLOW})
    file = tmp_path / "known.yaml"
    entry = "known: [{{cell: '*', metric: throughput, at_most_percent: {}, because: MTU{}}}]\n"
    for percent, until, status in ((30, "", 0), (10, "", 1), (30, ", until: 2020-01-01", 1)):
        file.write_text(entry.format(percent, until))
        assert compare(folder, "a", "b", "--known", str(file))[0] == status
    file.write_text(entry.format(30, "").replace("metric", "metrics"))
    status, _, message = compare(folder, "a", "b", "--known", str(file))
    assert status == 2
    assert "did you mean 'metric'?" in message


def test_continuous_integration_gets_junit_and_pull_requests_get_markdown(
    tmp_path: Path, folder: str
) -> None:
    fill(open_store(folder), {"a": SAME, "b": SLOW, "c": (1.0,)})
    file = tmp_path / "junit.xml"
    arguments = ("--store", folder, "--format", "markdown", "--junit", str(file))
    result = run("a", "b", "c", *arguments)
    assert "Family: 1 tests" in result.stdout
    assert f"| base {CELL} | throughput | b | 5 / 5 | -20.0 % |" in result.stdout
    assert f"* b: campaign demo, plugin b, store {folder}, 5 blocks" in result.stdout
    suite = ElementTree.parse(file).getroot()
    assert len(suite.findall("properties/property")) == 3
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")


def test_a_file_that_cannot_be_written_is_no_regression(tmp_path: Path, folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SAME})
    status, _, said = compare(folder, "a", "b", "--junit", str(tmp_path / "none" / "junit.xml"))
    assert (status, "cannot be written (No such file" in said) == (2, True)


def test_who_has_the_blocks_is_not_told_to_measure_as_many(folder: str) -> None:
    near = [1.04 * rate for rate in SAME]
    fill(open_store(folder), {"a": SAME, "b": near, "c": near[:2]})
    _, (line, _), _ = compare(folder, "a", "b", "c", "--margin", "4")
    assert line["verdict"] != "equal"
    for each in compare(folder, "a", "b", "c", "--margin", "4")[1]:
        assert each["needed"] is None or each["needed"] > min(each["blocks"])


LAST = "measurements/campaign=demo/block=b.base.r5"


def test_rows_of_an_older_schema_and_damaged_objects_stop_no_comparison(folder: str) -> None:
    store = open_store(folder)
    fill(store, {"a": SAME, "b": SAME})
    for number, file in enumerate(sorted(Path(folder).rglob("*.parquet"))):
        if "measurements" in file.parts and number % 2:
            table = pq.read_table(file)
            pq.write_table(table.drop_columns(["cycles_per_packet"]), file)
    whole = next(f for f in sorted(Path(folder).rglob("*.parquet")) if LAST in str(f))
    whole.write_bytes(whole.read_bytes()[:-20])
    _, (line,), _ = compare(folder, "a", "b")
    assert (line["verdict"], line["blocks"]) == ("equal", [5, 4])


WRONG = {
    "unknown side": (("a", "bb"), "no plugin, profile or campaign of the store; did you mean"),
    "unknown key": (("a", "plugn=b"), "keys are plugin, version"),
    "unknown value": (("plugin=a", "plugin=bb"), "has no plugin 'bb'"),
    "one side": (("a",), "needs two sides"),
    "unknown metric": (("a", "b", "--metric", "thruput"), "did you mean 'throughput'?"),
    "no margin": (("a", "b", "--margin", "nan"), "write a number above 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_told_what_to_write(folder: str, case: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SAME})
    arguments, expected = WRONG[case]
    status, _, message = compare(folder, *arguments)
    assert status == 2
    assert expected in message


def test_sides_without_a_common_cell_are_refused(folder: str) -> None:
    store = open_store(folder)
    fill(store, {"a": SAME})
    put_measurement(store, measurement("same-node.tcp", "x", plugin="b", block="b.base.r1"))
    status, _, message = compare(folder, "a", "b")
    assert status == 2
    assert "no cell in common" in message


def test_rows_of_the_fixture_have_the_columns_of_the_table() -> None:
    assert set(measurement()) <= set(full("measurements"))


def test_sides_told_by_different_keys_take_no_plugin_for_a_repeat_of_another(folder: str) -> None:
    store = open_store(folder)
    fill(store, {"a": SAME, "b": SLOW})
    fill(store, {"a": SAME, "b": SLOW}, campaign="night-2")
    status, lines, _ = compare(folder, "plugin=a,campaign=demo", "campaign=night-2")
    assert {line["cell"]: line["blocks"] for line in lines if line["verdict"] == "equal"} == {
        f"a base {CELL}": [5, 5]
    }
    assert status == 0


def test_a_metric_that_no_cell_has_is_an_error_not_a_pass(folder: str) -> None:
    fill(open_store(folder), {"a": SAME, "b": SAME})
    status, _, said = compare(folder, "a", "b", "--metric", "latency-p99")
    assert (status, "latency-p99" in said) == (2, True)
