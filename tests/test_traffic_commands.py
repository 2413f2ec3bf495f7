"""The tools are told every parameter, and each kind of traffic has its tool."""

import pytest
from pydantic import TypeAdapter, ValidationError

from steps.lib.models import Traffic
from steps.lib.traffic import asked, tool_for

TCP = {
    "id": "t", "kind": "tcp-stream", "streams": 4, "message_bytes": 131072, "duration_s": 30,
    "omit_s": 5, "congestion_control": "cubic",
}  # fmt: skip
UDP = {
    "id": "t", "kind": "udp-stream", "streams": 4, "message_bytes": 1300, "duration_s": 30,
    "omit_s": 5, "rate_bits_per_s": 1_000_000_000,
}  # fmt: skip
RR = {"id": "t", "kind": "tcp-rr", "request_bytes": 64, "response_bytes": 1024, "duration_s": 30}
CRR = RR | {"kind": "tcp-crr"}
PACED = RR | {"tool": "transact", "omit_s": 5, "rate_per_s": 1000}
DATAGRAMS = RR | {"kind": "udp-rr", "tool": "transact"}


def traffic(fields: dict[str, object], **changes: object) -> Traffic:
    made: Traffic = TypeAdapter(Traffic).validate_python(fields | changes)
    return made


def command(fields: dict[str, object], **changes: object) -> str:
    made = traffic(fields, **changes)
    return f"{' '.join(tool_for(made).client_command(made, '10.0.0.2'))} "


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        (TCP, "--client 10.0.0.2 -4"), (TCP, "--port 30521"), (TCP, "--time 30"), (TCP, "--omit 5"),
        (TCP, "--interval 1"), (TCP, "--parallel 4"), (TCP, "--length 131072"),
        (TCP, "--congestion cubic"), (TCP, "--bitrate 0"), (TCP, "--connect-timeout 5000"),
        (TCP, "--snd-timeout 10000"), (TCP, "--get-server-output --json-stream"),
        (UDP, "--udp --bitrate 250000000 --udp-counters-64bit"), (UDP, "--length 1300"),
        (RR, "-4 -H 10.0.0.2 -p 30522"), (RR, "-t TCP_RR -l 30 -D -0.25"),
        (RR, "-- -P ,30523 -r 64,1024 -D -b 0 -k "), (CRR, "-t TCP_CRR -l 30 -D -0.25"),
        (CRR, "-- -P ,30523 -r 64,1024 -D -b 0 -k "),
        (PACED, "client tcp 10.0.0.2 30524 64 1024 one 5 30 1000"),
        (PACED | {"kind": "tcp-crr"}, "client tcp 10.0.0.2 30524 64 1024 each 5 30 1000"),
        (DATAGRAMS, "client udp 10.0.0.2 30524 64 1024 one 0 30 0"),
    ],
)  # fmt: skip
def test_every_parameter_is_explicit(fields: dict[str, object], options: str) -> None:
    assert f" {options}" in command(fields)


def test_only_a_client_that_receives_is_given_a_receive_timeout() -> None:
    assert "--reverse --rcv-timeout 10000" in command(TCP, direction="reverse")
    assert "--bidir --rcv-timeout 10000" in command(TCP, direction="both")
    assert "--reverse" not in command(TCP)
    assert "--rcv-timeout" not in command(TCP), "iperf3 3.18 refuses it"


def test_a_rate_that_streams_cannot_share_equally_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a multiple of streams 3"):
        traffic(UDP, streams=3)


def test_datagrams_in_both_directions_at_once_are_refused_with_what_to_write() -> None:
    with pytest.raises(ValidationError, match="write `forward` and `reverse` as two cells"):
        traffic(UDP, direction="both")


@pytest.mark.parametrize("fields", [TCP, UDP, RR, CRR, PACED, DATAGRAMS])
def test_each_kind_of_traffic_has_one_tool_and_its_ports(fields: dict[str, object]) -> None:
    made = traffic(fields)
    tool = tool_for(made)
    assert made.kind in tool.kinds
    assert fields.get("tool", tool.name) == tool.name
    server = tool.server_command(made, "192.0.2.1")
    assert "192.0.2.1" in server, "it answers from where it is asked"
    assert str(tool.ports[0]) in server


def test_what_was_asked_is_every_field_but_the_names() -> None:
    assert asked(traffic(TCP)) == {
        "kind": "tcp-stream", "protocol": "tcp", "streams": 4, "message_bytes": 131072,
        "direction": "forward", "duration_s": 30, "omit_s": 5, "congestion_control": "cubic",
        "rate_bits_per_s": None,
    }  # fmt: skip
    assert asked(traffic(UDP))["rate_bits_per_s"] == 1_000_000_000
    assert asked(traffic(RR)) == {
        "kind": "tcp-rr", "protocol": "tcp", "duration_s": 30, "request_bytes": 64,
        "response_bytes": 1024, "omit_s": 0, "rate_per_s": None,
    }  # fmt: skip


def test_a_congestion_control_that_is_the_nodes_is_not_asked_of_the_tool() -> None:
    assert "--congestion" not in command(TCP, congestion_control="node")
    left_open = asked(traffic(TCP, congestion_control="node"))
    assert left_open == {k: v for k, v in asked(traffic(TCP)).items() if k != "congestion_control"}


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"kind": "udp-rr"}, "kind"), ({"omit_s": 1}, "omit_s"), ({"rate_per_s": 10}, "rate_per_s")],
)
def test_what_netperf_cannot_do_is_refused_by_name(changes: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError, match=r"is not for netperf; write `tool: transact`"):
        traffic(RR, **changes)
    assert getattr(traffic(RR, tool="transact", **changes), where) == changes[where]
