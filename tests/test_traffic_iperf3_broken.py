"""iperf3's document is read whole or not at all: a table of ways in which it can be broken."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.protocol import DocumentError, ToolRecord
from tests.outputs import events, output

Edit = Callable[[dict[str, Any]], None]

TCP = output("iperf3-tcp-forward.jsonl")
TCP_4 = output("iperf3-tcp-4-forward.jsonl")
UDP = output("iperf3-udp-forward.jsonl")
BOTH = output("iperf3-tcp-both.jsonl")


def parse(text: bytes) -> ToolRecord:
    return Iperf3().parse(text)


def written(changed: list[dict[str, Any]]) -> bytes:
    lines = [json.dumps(event, separators=(",", ":")) for event in changed]
    return "".join(f"{line}\n" for line in lines).encode()


def edited(name: str, edit: Edit, text: bytes = TCP) -> bytes:
    """The output with the first event of this name changed."""
    changed = events(text)
    edit(next(e for e in changed if e["event"] == name)["data"])
    return written(changed)


def setting(path: str, value: object) -> Edit:
    """An edit that sets one value, found by its path."""

    def edit(data: dict[str, Any]) -> None:
        place, key = _place(data, path)
        place[key] = value

    return edit


def dropping(path: str) -> Edit:
    """An edit that removes one value, found by its path."""

    def edit(data: dict[str, Any]) -> None:
        place, key = _place(data, path)
        del place[key]

    return edit


def _place(data: Any, path: str) -> tuple[Any, str | int]:
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        data = data[step]
    return data, last


def lines(*at: int, text: bytes = TCP) -> bytes:
    """These lines of the output, counted from 0: start, omitted, two measured, server, end."""
    return b"".join(text.splitlines(keepends=True)[n] for n in at)


INTERRUPTED = events(TCP)
INTERRUPTED.insert(-1, {"event": "error", "data": "interrupt - the client has terminated"})

BROKEN = {
    "empty": (b"", "wrote nothing"),
    "one line feed": (b"\n", "line 1 is not an event"),
    "doubled": (TCP + TCP, "2 `start` events"),
    "two runs": (TCP + UDP, "2 `start` events"),
    "text before": (b"warning: x\n" + TCP, "line 1 is not an event"),
    "text on the same line": (b"x" + TCP, "line 1 is not an event"),
    "text after": (TCP + b"iperf Done.\n", "line 7 is not an event"),
    "text after, same line": (TCP[:-1] + b" x\n", "not JSON"),
    "empty line after": (TCP + b"\n", "line 7 is not an event"),
    "no last line feed": (TCP[:-1], "cut off"),
    "through a terminal": (TCP.replace(b"\n", b"\r\n"), "carriage returns"),
    "NUL bytes only": (bytes(512), "cut off"),
    "NUL inside": (TCP.replace(b'"seconds"', b'"seco\0nds"'), "not JSON"),
    "not text": (TCP.replace(b"Linux", b"Linu\xff"), "not text"),
    "plain output": (output("iperf3-tcp-text.txt"), "line 1 is not an event"),
    "--json output": (output("iperf3-tcp-whole.json"), "line 1 is not an event"),
    "server's --json": (output("iperf3-server-of-tcp.json"), "line 1 is not an event"),
    "server's --json-stream": (output("iperf3-server-of-tcp.jsonl"), "0 `server_output_json`"),
    "server without --json": (output("iperf3-tcp-text-server.jsonl"), "server_output_text"),
    "error with full sums": (written(INTERRUPTED), "reports an error: interrupt"),
    "client interrupted": (output("iperf3-tcp-client-sigint.jsonl"), "client has terminated"),
    "UDP client interrupted": (output("iperf3-udp-client-sigint.jsonl"), "client has terminated"),
    "client killed": (output("iperf3-tcp-client-sigkill.jsonl"), "0 `server_output_json`"),
    "server stopped": (output("iperf3-tcp-server-sigterm.jsonl"), "server has terminated"),
    "server killed": (output("iperf3-tcp-server-sigkill.jsonl"), "closed unexpectedly"),
    "server busy": (output("iperf3-busy.jsonl"), "server is busy"),
    "no server": (output("iperf3-refused.jsonl"), "Connection refused"),
    "no such algorithm": (output("iperf3-tcp-no-such-congestion.jsonl"), "TCP_CONGESTION"),
    "no start": (lines(1, 2, 3, 4, 5), "0 `start`"),
    "no omitted interval": (lines(0, 2, 3, 4, 5), "0 omitted of 1"),
    "no first interval": (lines(0, 1, 3, 4, 5), "1 measured intervals of 2"),
    "no last interval": (lines(0, 1, 2, 4, 5), "1 measured intervals of 2"),
    "no server document": (lines(0, 1, 2, 3, 5), "0 `server_output_json`"),
    "no end": (lines(0, 1, 2, 3, 4), "0 `end`"),
    "events out of order": (lines(1, 2, 3, 4, 5, 0), "out of order"),
    "unknown event": (TCP.replace(b'"interval","data"', b'"pause","data"', 1), "unknown ones"),
    "interval twice": (lines(0, 1, 2, 2, 3, 4, 5), "3 measured intervals of 2"),
    "shorter than its sums": (
        edited("start", setting("test_start.duration", 1), lines(0, 1, 2, 4, 5)), "intervals make",
    ),
    "other version": (TCP.replace(b"iperf 3.18", b"iperf 3.12"), "only iperf 3.18"),
    "no version": (TCP.replace(b"iperf 3.18", b"iperf"), "only iperf 3.18"),
    "server of other version": (
        edited("server_output_json", setting("start.version", "iperf 3.12")),
        "the server is iperf 3.12",
    ),
    "server of another run": (
        edited("server_output_json", setting("start.cookie", "x")), "of another run",
    ),
    "server with an error": (
        edited("server_output_json", setting("error", "x")), "document reports an error: x",
    ),
    "server counted less": (
        edited("server_output_json", setting("end.sum_received.bytes", 10**9)), "server's make 1",
    ),
    "server had other parameters": (
        edited("server_output_json", setting("start.test_start.blksize", 9)), "other parameters",
    ),
    "both directions": (edited("start", setting("test_start.bidir", 1)), "2 data connections"),
    "a way back that was not asked for": (
        edited("end", lambda end: end.update(sum_received_bidir_reverse=end["sum_received"])),
        "a direction that was not asked for",
    ),
    "no sums of the way back": (
        edited("end", dropping("sum_received_bidir_reverse"), BOTH), "no sums of the way back",
    ),
    "nothing came back": (
        edited(
            "end",
            lambda end: end["sum_received_bidir_reverse"].update(bytes=0, bits_per_second=0),
            BOTH,
        ),
        "the client got nothing",
    ),
    "server sent less back": (
        edited(
            "server_output_json", setting("end.sum_sent_bidir_reverse.bytes", 10**9), BOTH
        ),
        "bytes back: the server's",
    ),
    "intervals of one way only": (
        edited("interval", dropping("sum_bidir_reverse"), BOTH), "intervals lack the way back",
    ),
    "server document is text": (written([
        e if e["event"] != "server_output_json" else e | {"data": "x"} for e in events(TCP)
    ]), "server_output_json cannot be used"),
    "fewer streams": (edited("end", dropping("streams.0"), TCP_4), "3 streams at the end"),
    "fewer connections": (edited("start", dropping("connected.0"), TCP_4), "4 data connections"),
    "two addresses": (
        edited("start", setting("connected.0.local_host", "10.0.0.9"), TCP_4), "2 local addresses",
    ),
    "interval of the other side": (edited("interval", setting("sum.sender", False)), "other side"),
    "nothing received": (
        edited("end", lambda end: end["sum_received"].update(bytes=0, bits_per_second=0)),
        "the receiver got nothing",
    ),
    "no receiver's sum": (edited("end", dropping("sum_received")), "sum_received"),
    "wrong unit": (edited("end", setting("sum_received.bits_per_second", 19697471)), "bit/s"),
    "number in quotes": (edited("end", setting("sum_sent.seconds", "2.0")), "valid number"),
    "count in quotes": (edited("start", setting("test_start.omit", "1")), "valid integer"),
    "yes for one": (edited("start", setting("test_start.duration", True)), "valid integer"),
    "infinite": (edited("end", setting("sum_sent.seconds", float("inf"))), "Infinity is not"),
    "too large": (TCP.replace(b'"bits_per_second":', b'"bits_per_second":1e999,"x":'), "finite"),
    "endless": (edited("end", setting("sum_sent.seconds", 10**400)), "is too large"),
    "negative": (edited("end", setting("sum_sent.retransmits", -1)), "greater than or equal"),
    "null": (edited("end", setting("sum_sent.bytes", None)), "valid integer"),
    "key twice": (TCP.replace(b'"omit":1', b'"omit":1,"omit":2', 1), "same key twice"),
    "deeply nested": (b'{"event":"start","data":' + b"[" * 200_000 + b"\n", "not JSON"),
    "no retransmits": (edited("end", dropping("sum_sent.retransmits")), "no retransmits"),
    "no loss": (edited("end", dropping("sum_received.lost_packets"), UDP), "UDP counts"),
    "no order": (edited("server_output_json", setting("end.streams", []), UDP), "UDP counts"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_one_complete_document_is_refused(name: str) -> None:
    text, message = BROKEN[name]
    with pytest.raises(DocumentError, match=re.escape(message)):
        parse(text)


def test_a_gap_between_intervals_is_refused() -> None:
    changed = events(TCP)
    changed[3]["data"]["sum"]["start"] += 0.5
    with pytest.raises(DocumentError, match="gap between the intervals"):
        parse(written(changed))


@pytest.mark.parametrize("text", [TCP, UDP], ids=["tcp", "udp"])
def test_no_part_of_a_document_is_taken_for_the_whole(text: bytes) -> None:
    for length in range(len(text)):
        with pytest.raises(DocumentError):
            parse(text[:length])
