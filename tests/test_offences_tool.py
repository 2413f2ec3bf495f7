"""Tools that do or say something else than they should: the cell is refused, by the gate's name."""

import json
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steps.lib import measure as measuring
from steps.lib.models import Traffic
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.processes import Running
from steps.lib.targets.protocol import Endpoint
from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.netperf import REPORT_STEP_S, Netperf
from steps.lib.traffic.protocol import Tool, ToolRecord
from tests.jobs import HTTP, RR, TCP, UDP
from tests.offences import Bench, bench

pytestmark = pytest.mark.namespaces

INVALID = "invalid"


@pytest.fixture
def block() -> Iterator[Bench]:
    with bench() as made:
        yield made


class OtherTool(Iperf3):
    """iperf3 as somebody else would call it, or read it."""

    def __init__(self, command: Any = None, parse: Any = None) -> None:
        super().__init__()
        self._command, self._parse = command, parse

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        command = super().client_command(traffic, address)
        return self._command(command) if self._command else command

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        record = super().parse(output, version_output)
        return self._parse(record) if self._parse else record


def use(monkeypatch: pytest.MonkeyPatch, tool: Tool) -> None:
    monkeypatch.setattr(measuring, "tool_for", lambda traffic: tool)


def test_udp_at_the_tools_default_rate(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, without("--bitrate"))
    assert block.refusal(UDP) == (INVALID, "rate-stated")


def test_a_tool_of_another_version(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def older(command: Sequence[str]) -> list[str]:
        return [
            "sh",
            "-c",
            f"{shlex.join(command)} | sed --unbuffered 's/iperf 3[.]18/iperf 3.12/'",
        ]

    use(monkeypatch, OtherTool(older))
    assert block.refusal(UDP) == (INVALID, "tool-version")


def test_the_senders_number(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def senders(record: ToolRecord) -> ToolRecord:
        sent = record.metrics["sent_bits_per_s"]
        return replace(record, metrics={**record.metrics, "throughput_bits_per_s": sent})

    rules = "add table ip lossy; add chain ip lossy c { type filter hook forward priority 0; }; "
    rules += "add rule ip lossy c meta l4proto udp meta length > 1000 numgen random mod 4 == 0 drop"
    block.target.on_node(1, "nft", rules)
    row = block.row(UDP)
    assert row["status"] == "ok", row["reason"]
    assert row["lost_percent"] == pytest.approx(25, abs=5)
    use(monkeypatch, OtherTool(parse=senders))
    assert block.refusal(UDP) == (INVALID, "receiver-goodput")


def test_a_wrong_address_family(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Six(Iperf3):
        def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
            with netns.inside("cnib-offend.pod-server"):
                Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("0")
            return [
                "-6" if word == "-4" else word for word in super().server_command(traffic, "::1")
            ]

        def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
            command = super().client_command(traffic, "::1")
            return ["-6" if word == "-4" else word for word in command]

    use(monkeypatch, Six())
    assert block.refusal(UDP, "in-pod") == (INVALID, "address-family")


def replay(stdout: str) -> list[str]:
    """A client that says at the right moments what another one said before."""
    start, *rest = stdout.splitlines()
    lines = [_said(line) for line in rest]
    return ["sh", "-c", "; ".join((_said(start), "sleep 1", *lines))]


def _said(line: str) -> str:
    said = f"printf %s\\\\n {shlex.quote(line)}"
    return f"{said}; sleep {REPORT_STEP_S}" if line.startswith("NETPERF_ENDING") else said


class Replaying(Netperf):
    """netperf that says what it said before."""

    def __init__(self, stdout: str) -> None:
        self._stdout = stdout

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        return replay(self._stdout)


def test_a_result_copied_from_another_cell(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    original = block.measure(UDP)
    assert original.row["status"] == "ok"
    stdout = json.loads(original.raw)["stdout"]
    use(monkeypatch, OtherTool(lambda command: replay(stdout)))
    row = block.row(UDP, "same-node")
    assert row["status"] == INVALID
    assert row["reason"] == (
        "document-own: the very same document was that of cell cross-node.udp-100m"
    )
    block.documents.clear()  # As in another pod; there its date gives it away.
    time.sleep(1)
    row = block.row(UDP, "same-node")
    assert row["reason"].startswith("document-own: dated -")


def test_transactions_copied_from_another_run(
    block: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = block.measure(RR)
    assert original.row["status"] == "ok"
    use(monkeypatch, Replaying(json.loads(original.raw)["stdout"]))
    block.documents.clear()  # As in another pod.
    time.sleep(1)
    row = block.row(RR, "same-node")
    assert row["reason"].startswith("document-own: dated -")


def without(option: str) -> OtherTool:
    """A tool that falls back to its own default."""

    def shorter(command: Sequence[str]) -> list[str]:
        place = command.index(option)
        return [*command[:place], *command[place + 2 :]]

    return OtherTool(shorter)


def test_a_message_size_that_nobody_asked_for(
    block: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, without("--length"))
    assert block.refusal(UDP) == (INVALID, "parameters-agree")


def test_another_congestion_control(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def reno() -> None:
        with netns.inside("cnib-offend.pod-client"):
            Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")

    use(monkeypatch, without("--congestion"))
    block.target.before = reno
    row = block.row(TCP)
    assert row["reason"] == "congestion-control: asked cubic, in force reno"


def test_another_address(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = OtherTool(lambda command: [w.replace("0.0.1", "0.0.2") for w in command])
    listen = tool.server_command
    monkeypatch.setattr(tool, "server_command", lambda traffic, _: listen(traffic, "127.0.0.2"))
    use(monkeypatch, tool)
    row = block.row(TCP, "in-pod")
    assert row["reason"] == "address: dialled 127.0.0.2, meant 127.0.0.1"


def test_a_reader_that_is_late(block: Bench) -> None:
    block.target.late_s = 0.5
    row = block.row(UDP)
    assert (row["status"], row["reason"].split(":")[0]) == (INVALID, "cpu-window")


def test_a_second_client_at_the_server(block: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the same file at the same time: the server has twice what the client counts."""
    row = block.row(HTTP, "same-node")
    assert row["status"] == "ok", row["reason"]
    ordinary = block.target.start
    seconds: list[Running] = []

    def start(endpoint: Endpoint, command: Sequence[str], group: str) -> Running:
        if command[0] == "http-load":
            seconds.append(ordinary(endpoint, command, "other"))
        return ordinary(endpoint, command, group)

    monkeypatch.setattr(block.target, "start", start)
    row = block.row(HTTP, "same-node")
    assert row["reason"].startswith("requests-served: "), row["reason"]
    (second,) = seconds
    second.stop(0)
