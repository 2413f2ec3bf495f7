"""Results that people have: each form is found by its content, and damage is told, not counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnibench.cli import app
from steps.lib.errors import InputError
from steps.lib.imports import FORMS, ImportedRun, Names, read_results
from tests.iperf3_documents import tcp, udp
from tests.outputs import output

HERE = Names(plugin="alpha", path="cross-node")
TREE = Path(__file__).parents[1] / "steps" / "lib" / "imports" / "infrabuilder-2024-tree.yaml"
TEXT = """Connecting to host 10.0.0.2, port 5201
[  5] local 10.0.0.1 port 35022 connected to 10.0.0.2 port 5201
[ ID] Interval           Transfer     Bandwidth       Retr  Cwnd
[  5]   0.00-1.00   sec   120 KBytes   983 Kbits/sec    2   2.87 MBytes
[  5]   1.00-2.00   sec  1.10 MBytes  9.23 Mbits/sec   33   1.12 MBytes
- - - - - - - - - - - - - - - - - - - - - - - - -
[ ID] Interval           Transfer     Bandwidth       Retr
[  5]   0.00-2.00   sec  1.22 MBytes  5.12 Mbits/sec   35             sender
[  5]   0.00-2.01   sec  1.20 MBytes  5.01 Mbits/sec                  receiver

iperf Done.
"""
NETPERF = """MIGRATED TCP REQUEST/RESPONSE TEST from 0.0.0.0 () port 0 AF_INET to 10.0.0.2 () \
port 0 AF_INET
Minimum Latency Microseconds,Mean Latency Microseconds,99th Percentile Latency Microseconds,\
Transaction Rate Tran/s,Throughput,Throughput Units
12,20.00,53,49000.000,49000.00,Trans/s
"""
K8S = """Driver,Profile,Same node,Host Network,Service,Duration,Parallelism,# of Samples,\
Message Size,Avg Throughput,Throughput Metric,99%tile Observed Latency,Latency Metric
netperf,TCP_STREAM,false,false,false,10,1,3,1024,{rate},{unit},33,usec
netperf,TCP_RR,true,false,false,10,1,1,1024,15000.0,OP/s,80,usec
netperf,TCP_STREAM,false,false,true,10,1,3,1024,0.000000,Mb/s,0,usec
netperf,UDP_STREAM,false,false,false,10,1,3,1024,900.0,Mb/s,33,usec
"""


def item(metric: str, unit: str, data: dict[str, float], test: str = "TCP_RR") -> dict[str, Any]:
    labels = {"scenario": "pod-to-pod", "node": "other-node", "test_type": f"netperf-{test}"}
    return {"data": data, "unit": unit, "labels": labels | {"metric": metric}}


PERFDASH = {
    "version": "v1",
    "dataItems": [
        item("Latency", "us", {"Perc50": 20.0, "Perc90": 30.0, "Perc99": 50.0}),
        item("TransactionRate", "ops/s", {"Throughput": 48000.0}),
        item("Throughput", "Mb/s", {"Throughput": 9400.0}, "TCP_STREAM"),
        item("Throughput", "Mb/s", {"Throughput": 0}, "TCP_STREAM"),
    ],
}


def read(tmp_path: Path, text: str | bytes, names: Names = HERE) -> list[ImportedRun]:
    file = tmp_path / "result"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_results(file, names).runs)


def one(tmp_path: Path, text: str | bytes) -> ImportedRun:
    (run,) = read(tmp_path, text)
    assert (run.status == "ok") == bool(run.metrics)
    return run


@pytest.mark.parametrize("version", ["iperf 3.0.11", "iperf 3.1.3", "iperf 3.7", "iperf 3.20"])
def test_a_clients_document_is_a_run_by_the_receivers_count(tmp_path: Path, version: str) -> None:
    run = one(tmp_path, json.dumps(tcp(version)))
    assert (run.status, run.tool_version, run.cell) == ("ok", version, "cross-node.tcp-stream")
    assert run.metrics["throughput_bits_per_s"] == 8e9
    assert (run.metrics["retransmits"], run.metrics["mss_bytes"]) == (7, 1398)
    assert str(run.started_at) == "2024-01-27 14:43:53+00:00"


def test_of_datagrams_what_was_lost_did_not_arrive(tmp_path: Path) -> None:
    run = one(tmp_path, json.dumps(udp(lost=300_000)))
    assert run.metrics["throughput_bits_per_s"] == pytest.approx(7.2e9)
    assert (run.metrics["lost_percent"], run.asked["traffic"]) == (10.0, "udp-stream")


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_an_omission_whose_end_was_not_told_is_no_damage(tmp_path: Path, form: str) -> None:
    run = one(tmp_path, output(f"iperf3-tcp-omission-unreported.{form}"))
    assert (run.status, run.metrics["duration_s"]) == ("ok", pytest.approx(2, abs=0.01))
    assert run.metrics["throughput_bits_per_s"] == pytest.approx(8e6, rel=0.1)


def test_several_runs_in_one_file_are_numbered_and_a_doubled_one_counts_once(
    tmp_path: Path,
) -> None:
    first, second = json.dumps(tcp()), json.dumps(tcp(cookie="b" * 36), indent=1)
    file = tmp_path / "log"
    file.write_text(f"+ iperf3 -c a\n{first}\n+ iperf3 -c a\n{second}\n{first}\n")
    found = read_results(file, HERE)
    assert [(run.repeat, run.status, run.where) for run in found.runs] == [
        (1, "ok", "line 2"),
        (2, "ok", "line 4"),
    ]
    assert len(found.left_out) == 1 and "the same run as line 2" in found.left_out[0]


def test_a_broken_document_between_whole_ones_costs_only_itself(tmp_path: Path) -> None:
    documents = [json.dumps(tcp(cookie=c * 36)) for c in "abc"]
    documents[1] = documents[1][:400]
    runs = read(tmp_path, "\n".join(documents))
    assert [run.status for run in runs] == ["ok", "invalid", "ok"]


def test_the_servers_document_beside_the_clients_is_no_second_run(tmp_path: Path) -> None:
    server = tcp(accepted_connection={"host": "10.0.0.1", "port": 1})
    runs = read(tmp_path, json.dumps(server) + "\n" + json.dumps(tcp()))
    assert [run.status for run in runs] == ["ok"]
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(server))
    for name in ("b.json", "c.json"):
        (folder / name).write_text(json.dumps(tcp()))
    found = read_results(folder, HERE)
    assert [run.status for run in found.runs] == ["ok"]
    assert len(found.left_out) == 2


def test_units_that_change_from_line_to_line_are_read(tmp_path: Path) -> None:
    run = one(tmp_path, TEXT)
    assert run.metrics["throughput_bits_per_s"] == 5.01e6
    assert (run.metrics["retransmits"], run.remark) == (35, "numbers of three digits")
    runs = read(tmp_path, TEXT + TEXT.replace("35022", "35023").replace("\n", "\r\n"))
    assert [run.status for run in runs] == ["ok", "ok"]


def test_scenarios_that_differ_are_no_repeats_of_each_other(tmp_path: Path) -> None:
    line = "netperf,TCP_STREAM,false,false,false,10,1,3,{},9400.0,Mb/s,33,usec\n"
    table = K8S.split("\n")[0] + "\n" + "".join(line.format(size) for size in (64, 1024))
    runs = read(tmp_path, table, Names(plugin="alpha"))
    assert [run.cell for run in runs] == [f"cross-node.tcp-stream-{n}" for n in (64, 1024)]


def test_every_document_of_an_array_or_behind_a_prefix_is_a_run(tmp_path: Path) -> None:
    one, two = (json.dumps(tcp(cookie=c)) for c in "ab")
    for text in (f"[{one}, {two}]", f"pod-a | {one}\npod-b | {two}\n"):
        assert [run.status for run in read(tmp_path, text)] == ["ok", "ok"]


def test_losses_are_a_share_of_what_was_sent(tmp_path: Path) -> None:
    document = udp(lost=900_000)
    total = document["end"].pop("sum")
    arrived = total | {"bytes": 2_100_000_000, "bits_per_second": 5.6e9, "packets": 3_000_145}
    document["end"] = {"sum_sent": total, "sum_received": arrived}
    (run,) = read(tmp_path, json.dumps(document))
    assert (run.reason, run.metrics["lost_percent"]) == (None, 30.0)


def test_netperf_that_does_not_say_how_long_it_ran_is_told_so(tmp_path: Path) -> None:
    run = one(tmp_path, NETPERF)
    assert (run.metrics["transactions_per_s"], run.metrics["latency_us_p99"]) == (49000, 53)
    assert "an interrupted run looks the same" in str(run.remark)


def test_k8s_netperf_is_one_run_a_scenario_and_its_zeros_are_none(tmp_path: Path) -> None:
    runs = read(tmp_path, K8S.format(rate="9400.5", unit="Mb/s"), Names(plugin="alpha"))
    assert [(run.cell, run.status) for run in runs] == [
        ("cross-node.tcp-stream", "ok"),
        ("same-node.tcp-rr", "ok"),
        ("unknown.unreadable", "invalid"),
        ("unknown.unreadable", "invalid"),
    ]
    assert runs[0].metrics["throughput_bits_per_s"] == 9400.5e6
    assert (runs[1].metrics["latency_us_p99"], runs[0].metrics["latency_us_p99"]) == (80, None)
    document = {
        "driver": "iperf3", "profile": "TCP_STREAM", "hostNetwork": True, "service": False,
        "local": False, "parallelism": 8, "duration": 10, "samples": 3, "messageSize": 1024,
        "throughput": 100.0, "tputMetric": "Mb/s", "latency": 0, "ltcyMetric": "usec",
    }  # fmt: skip
    (run,) = read(tmp_path, json.dumps([document]), Names(plugin="alpha"))
    assert (run.cell, run.asked["streams"]) == ("unknown.tcp-stream-8", 8)
    (run, *_) = read(tmp_path, K8S.format(rate="9.4", unit="Gb/s"), Names(plugin="alpha"))
    assert "unit 'Gb/s'" in str(run.reason)


def test_perfdash_items_of_one_test_are_one_run(tmp_path: Path) -> None:
    runs = read(tmp_path, json.dumps(PERFDASH), Names(plugin="alpha"))
    assert [(run.cell, run.status) for run in runs] == [
        ("cross-node.tcp-rr", "ok"),
        ("cross-node.tcp-stream", "ok"),
        ("unknown.unreadable", "invalid"),
    ]
    assert (runs[0].metrics["latency_us_p99"], runs[0].metrics["transactions_per_s"]) == (50, 48000)
    assert runs[1].metrics["throughput_bits_per_s"] == 9.4e9


def test_a_folder_is_read_by_a_file_of_names(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for plugin in ("alpha", "baremetal"):
        for number in (1, 2):
            folder = results / plugin / str(number)
            folder.mkdir(parents=True)
            (folder / "dts-client.stdout").write_text(json.dumps(tcp(cookie=f"{plugin}{number}")))
            (folder / "dts-server.stdout").write_text("noise")
            (folder / "stm-client.stdout").write_text("")
    store = str(tmp_path / "store")
    arguments = ["import", str(results), "--campaign", "old", "--store", store]
    result = CliRunner().invoke(app, [*arguments, "--names", str(TREE)])
    assert result.exit_code == 0, result.output
    assert "8 runs (4 failed, 4 ok), 8 new" in result.output
    select = "select plugin, repeat, cell, path, status from measurements order by all limit 2"
    answer = CliRunner().invoke(app, ["sql", select, "--store", store, "--format", "csv"])
    assert answer.stdout.split()[1:] == [
        "alpha,1,dts,cross-node,ok",
        "alpha,1,stm,pod-service,failed",
    ]
    again = CliRunner().invoke(app, [*arguments, "--names", str(TREE)])
    assert "0 new" in again.output


def test_sides_that_were_imported_are_compared_with_each_other_only(tmp_path: Path) -> None:
    store, sides = str(tmp_path / "store"), []
    for plugin, rate in (("alpha", 10**9), ("beta", 8 * 10**8)):
        documents = [tcp(cookie=f"{plugin}{n}") for n in range(5)]
        for n, document in enumerate(documents):
            _scale(document, rate / 10**9 * (1 + n / 1000))
        file = tmp_path / plugin
        file.write_text("\n".join(json.dumps(document) for document in documents))
        sides.append(f"campaign={plugin}")
        arguments = ["--campaign", plugin, "--plugin", plugin, "--path", "cross-node"]
        assert (
            CliRunner().invoke(app, ["import", str(file), *arguments, "--store", store]).exit_code
            == 0
        )
    named = [f"plugin={s.removeprefix('campaign=')},{s}" for s in sides]
    options = ["--label-environments", "--store", store, "--format", "json"]
    result = CliRunner().invoke(app, ["compare", *named, *options])
    (line,) = json.loads(result.stdout)["lines"]
    assert (result.exit_code, line["verdict"], line["blocks"]) == (1, "regressed", [5, 5])


def _scale(document: dict[str, Any], factor: float) -> None:
    parts = [report["sum"] for report in document["intervals"]]
    for part in [*parts, *document["end"].values()]:
        part["bytes"] = round(part["bytes"] * factor)
        part["bits_per_second"] = 8 * part["bytes"] / part["seconds"]


WRONG = {
    "no plugin": (Names(path="cross-node"), "Write --plugin NAME"),
    "an impossible name": (Names(plugin="a/b"), "use letters"),
    "a name for two": (Names(pattern="(?P<plugin>r)(?P<repeat>e)"), "found 'e', no number"),
    "no file fits": (Names(pattern="nothing", plugin="a"), "no file has a name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_names_that_are_missing_or_wrong_are_asked_for(tmp_path: Path, case: str) -> None:
    names, message = WRONG[case]
    (tmp_path / "result").write_text(json.dumps(tcp()))
    with pytest.raises(InputError, match=message):
        read_results(tmp_path, names)


def test_two_runs_of_one_name_are_one_row_without_a_number(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("\n".join(json.dumps(tcp(cookie=c)) for c in "ab"))
    names = Names(plugin="alpha", pattern=r"(?P<repeat>\d)\.json")
    (run,) = read_results(tmp_path, names).runs
    assert run.status == "invalid" and "are those of another one too" in str(run.reason)


def test_a_wrong_form_and_a_wrong_pattern_are_named(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("x")
    with pytest.raises(InputError, match="did you mean 'iperf3-json'"):
        read_results(tmp_path, HERE, "iperf-json")
    with pytest.raises(ValueError, match="groups are plugin, repeat"):
        Names(pattern="(?P<plugn>a)")
    assert list(FORMS)[-1] == "netperf"
