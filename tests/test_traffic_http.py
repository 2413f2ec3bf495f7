"""What h2load says of HTTP is read whole or not at all, and set beside what the server counted."""

import json
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from steps.lib import tools
from steps.lib.models import Traffic
from steps.lib.models.http import ResponseBytes
from steps.lib.tables import MEASUREMENTS
from steps.lib.traffic import asked, tool_for
from steps.lib.traffic.h2load import H2load
from steps.lib.traffic.protocol import DocumentError, ToolRecord, VersionError
from tests.jobs import HTTP
from tests.outputs import output

HTTP1, HTTP2 = output("h2load-http1.jsonl"), output("h2load-http2.jsonl")


def traffic(**changes: Any) -> Traffic:
    made: Traffic = TypeAdapter(Traffic).validate_python(HTTP | changes)
    return made


def parse(text: bytes) -> ToolRecord:
    return H2load().parse(text)


def end_of(text: bytes = HTTP2) -> dict[str, Any]:
    end: dict[str, Any] = json.loads(text.splitlines()[-1])
    return end


def changed(where: int = -1, text: bytes = HTTP2, **changes: Any) -> bytes:
    """The document with some keys of one event set to other values."""
    lines = text.splitlines(keepends=True)
    event = json.loads(lines[where]) | changes
    lines[where] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    return b"".join(lines)


def saying(old: str, new: str) -> bytes:
    return changed(said=[line.replace(old, new) for line in end_of()["said"]])


def test_server_and_client_are_told_every_parameter() -> None:
    made = traffic()
    tool = tool_for(made)
    command = " ".join(tool.client_command(made, "10.0.0.2"))
    assert command == "http-load http2 10.0.0.2 30525 1024 4 8 1 2"
    assert tool.server_command(made, "10.0.0.2")[-1].endswith("/nginx-ipv4.conf")
    assert tool.server_command(traffic(family="ipv6"), "fd00::2")[-1].endswith("/nginx-ipv6.conf")


@pytest.mark.parametrize(
    ("text", "made"),
    [(HTTP1, traffic(kind="http1", requests_each=1)), (HTTP2, traffic())],
    ids=["http1", "http2"],
)
def test_a_good_run_says_what_was_in_force(text: bytes, made: Traffic) -> None:
    record = parse(text)
    wanted = asked(made)
    assert {key: record.effective[key] for key in wanted} == wanted
    assert (record.tool, record.version) == ("h2load", "1.64.0")
    assert (record.client_address, record.server_address) == ("10.213.9.1", "10.213.9.2")
    assert record.duration_s == pytest.approx(2, rel=0.05)
    assert sum(i.duration_s for i in record.intervals) == pytest.approx(record.duration_s)
    assert record.metrics.keys() <= {column.name for column in MEASUREMENTS}
    names = ("min", "p50", "p90", "p99", "p99_9", "max")
    values = [float(record.metrics[f"latency_us_{name}"] or 0) for name in names]
    assert values == sorted(values)
    assert all(b.high_us - b.low_us <= max(1, b.low_us / 127) for b in record.histogram)


BROKEN = {
    "nothing": (b"", "wrote nothing"),
    "cut off": (HTTP2[:-9], "cut off within a line"),
    "without its end": (HTTP2[: HTTP2.index(b'{"event":"end"')], "events are not in order"),
    "doubled": (HTTP2 + HTTP2, "events are not in order"),
    "no server": (b'{"event":"error","message":"refused"}\n', "reports an error: refused"),
    "text before it": (b"warning\n" + HTTP2, "line 1 is not an event of http-load"),
    "a number in quotes": (changed(0, mss_bytes="1448"), "is not an event of http-load"),
    "an unknown key": (changed(0, warm="yes"), "is not an event of http-load"),
    "a bucket short": (changed(histogram=end_of()["histogram"][1:]), "its histogram"),
    "an interval more": (changed(intervals=[*end_of()["intervals"], 7]), "its intervals"),
    "other words": (saying(" succeeded, ", "1 succeeded, "), "h2load's words"),
    "words twice": (
        saying("Stopped all clients for thread #0", "Application protocol: h2c"),
        "lines about its protocol",
    ),
    "another protocol": (saying("protocol: h2c", "protocol: h3"), "h2load spoke 'h3'"),
    "answers of another size": (changed(0, response_bytes=64), "bytes in .* answers of 64 bytes"),
    "one request at a time": (changed(0, requests_each=64), "requests in flight, not 256"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_one_whole_document_is_none(text: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        parse(text)


def test_requests_of_a_broken_connection_are_failures_and_in_no_rate() -> None:
    broken = parse(saying("0 failed, 0 errored", "3 failed, 3 errored")).metrics
    assert broken["failed_requests"] == 3
    assert broken["transactions_per_s"] == end_of()["requests"] / 2


@pytest.mark.parametrize("other", [{"version": "1.65.0"}, {"server": "nginx/1.28.0"}])
def test_another_version_of_client_or_server_is_named(other: dict[str, Any]) -> None:
    with pytest.raises(VersionError, match=r"pinned 1\.64\.0 and nginx/1\.26\.3"):
        parse(changed(0, **other))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "http1"}, "8 at once on a connection are for http2; write 1"),
        ({"response_bytes": 1000}, "Input should be 64, 1024, 16384, 131072 or 1048576"),
        ({"connections": 0}, "greater than or equal to 1"),
        ({"omit_s": 0}, "greater than or equal to 1"),
        ({"duration_s": 31}, "less than or equal to 30"),
    ],
    ids=[
        "http1 has no streams",
        "a size without a file",
        "no connection",
        "no warm-up",
        "too long",
    ],
)
def test_bad_input_is_told_what_to_write(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        traffic(**changes)


def test_the_tool_box_has_a_file_of_each_size() -> None:
    folder = tools.toolbox() / "usr/local/share/cnibench/http"
    found = {int(file.name): file.stat().st_size for file in folder.iterdir()}
    assert found == {size: size for size in get_args(ResponseBytes)}
