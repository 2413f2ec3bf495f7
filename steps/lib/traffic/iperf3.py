"""iperf3: bulk TCP, and UDP at a stated rate."""

import re
from collections.abc import Sequence
from statistics import fmean

from steps.lib.models import Stream, TcpStream, Traffic
from steps.lib.traffic.iperf3_document import INTERVAL_S, Document, IntervalSum, ServerDocument
from steps.lib.traffic.iperf3_reading import read_document
from steps.lib.traffic.protocol import (
    Boundary,
    Clock,
    DocumentError,
    Due,
    Interval,
    ToolRecord,
    VersionError,
    family_option,
)

PORT = 30521
"""Published as a NodePort too, so it lies in the range that Kubernetes has for them."""

CONNECT_TIMEOUT_MS = 5_000
STALL_TIMEOUT_MS = 10_000
"""Data not acknowledged, or not coming, for so long ends the run, with an error in the document.
Shorter than what ``measure`` gives a tool beyond its run time: iperf3 shall say so by itself."""

REPORT_LATE_S = 0.002
"""What a report is given to come by itself."""

SERVER_IDLE_S = 30
"""A server that no client comes to ends by itself. It does not limit a test that runs."""


class Iperf3Clock(Clock):
    """Opens at the last omitted interval (at ``start`` if none is omitted), closes at the last one.

    iperf3 writes and flushes a line when an interval ends, so the caller's readings are late by the
    time that it takes to wake up: the time between the two lines was 1.2 ms more than the measured
    intervals have together (median of 138 runs of 2 s on 2 busy cores; mostly within 6 ms, worst
    68 ms), and the bytes that the device counted between them were those of the document within
    0.2 % (median). The last interval comes at the end of the test, 1 to 5 ms before ``end``.

    The last omitted interval is not always reported (``Side.measured``): it ends a second after the
    one before.
    """

    def __init__(self, omit_s: int, duration_s: int) -> None:
        self._omitted_left = omit_s
        self._measured_left = duration_s
        self._started = False

    def feed(self, line: bytes) -> Boundary | None:
        """See ``Clock``. Looks at bytes only: the line of 128 streams has 40 kB of JSON."""
        self.due = None
        if line.startswith(b'{"event":"interval"'):
            return self._interval(omitted=b'"omitted":true' in line)
        if line.startswith(b'{"event":"start"') and not self._started:
            self._started = True
            return None if self._omitted_left else "window-start"
        return None

    def _interval(self, *, omitted: bool) -> Boundary | None:
        if omitted:
            self._omitted_left -= 1
            if self._omitted_left == 1:
                self.due = Due("window-start", INTERVAL_S + REPORT_LATE_S)
            return "window-start" if self._omitted_left == 0 else None
        self._measured_left -= 1
        return "window-end" if self._measured_left == 0 else None


class Iperf3:
    """One server and one client process a cell.

    The server ends after its client, and says nothing of a bare connect to its port: such a connect
    ends it, so readiness must be read from the list of listening sockets.
    """

    name = "iperf3"
    version = "3.18"
    kinds: tuple[str, ...] = ("tcp-stream", "udp-stream", "no-drop-stream")
    version_command: tuple[str, ...] | None = None

    def __init__(self, port: int = PORT) -> None:
        self._port = port

    @property
    def ports(self) -> tuple[int, ...]:
        """Control and data share one port, for TCP and UDP."""
        return (self._port,)

    def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """``--json``, so that the client can embed the server's document in its own."""
        return (
            "iperf3", "--server", family_option(traffic), "--bind", address,
            "--port", str(self._port), "--one-off", "--idle-timeout", str(SERVER_IDLE_S),
            "--rcv-timeout", str(STALL_TIMEOUT_MS), "--json",
        )  # fmt: skip

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """No ``--window``: socket buffers are the kernel's, which a tuning profile may set.

        iperf3 refuses ``--rcv-timeout`` for a client that only sends.
        """
        assert isinstance(traffic, Stream), "tool_for gives iperf3 streams only"
        receives = ("--rcv-timeout", str(STALL_TIMEOUT_MS))
        directions = {"reverse": ("--reverse", *receives), "both": ("--bidir", *receives)}
        return (
            "iperf3", "--client", address, family_option(traffic), "--port", str(self._port),
            "--time", str(traffic.duration_s), "--omit", str(traffic.omit_s),
            "--interval", f"{INTERVAL_S:g}", "--parallel", str(traffic.streams),
            "--length", str(traffic.message_bytes),
            *_protocol_options(traffic),
            *directions.get(traffic.direction, ()),
            "--connect-timeout", str(CONNECT_TIMEOUT_MS), "--snd-timeout", str(STALL_TIMEOUT_MS),
            "--get-server-output", "--json-stream",
        )  # fmt: skip

    def end_signal(self, traffic: Traffic) -> int | None:
        """See ``Tool``: the server notices by itself."""
        return None

    def clock(self, traffic: Traffic) -> Clock:
        """A fresh watcher of one run's output."""
        return Iperf3Clock(traffic.omit_s, traffic.duration_s)

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        """See ``Tool``. Everything stems from the document itself, which names its version."""
        document = read_document(output)
        start, end = document.start, document.end
        server = document.server_output_json.start.accepted_connection
        return ToolRecord(
            tool=self.name,
            version=_version(start.version, self.version),
            effective=_effective(document),
            metrics=_metrics(document),
            intervals=_intervals(document.measured),
            received_intervals=_intervals(document.receiver.measured),
            duration_s=end.sum_received.seconds,
            client_address=_one({c.local_host for c in start.connected}, "local"),
            server_address=_one({c.remote_host for c in start.connected}, "remote"),
            mss_bytes=start.tcp_mss_default,
            congestion_control=end.sender_tcp_congestion,
            receiver_side=True,
            client_address_at_server=server.host if server else None,
            started_utc_s=start.timestamp.timesecs,
        )


def _intervals(sums: Sequence[IntervalSum]) -> tuple[Interval, ...]:
    return tuple(Interval(i.start, i.seconds, i.bits_per_second, i.retransmits) for i in sums)


def _protocol_options(traffic: Stream) -> tuple[str, ...]:
    """``--bitrate`` is of each stream; 0 is no limit, which is said too."""
    each = (traffic.rate_bits_per_s or 0) // traffic.streams  # without remainder: the model's rule
    if isinstance(traffic, TcpStream):
        chosen = traffic.chosen_congestion_control
        return "--bitrate", str(each), *(("--congestion", chosen) if chosen else ())
    return "--udp", "--bitrate", str(each), "--udp-counters-64bit"


def _version(said: str, pinned: str) -> str:
    """``iperf 3.18`` -> 3.18. Keys change their meaning between versions, so only one is read."""
    match = re.fullmatch(r"iperf (\d+(?:\.\d+)+)", said)
    if not match or match[1] != pinned:
        raise VersionError(f"the document is of {said!r}, only iperf {pinned} is read")
    return match[1]


def _effective(document: Document) -> dict[str, str | int | None]:
    test = document.start.test_start
    return {
        "kind": f"{test.protocol.lower()}-stream",
        "protocol": test.protocol.lower(),
        "streams": test.num_streams,
        "message_bytes": test.blksize,
        "direction": document.direction,
        "duration_s": test.duration,
        "omit_s": test.omit,
        "rate_bits_per_s": test.target_bitrate * test.num_streams or None,
        "congestion_control": document.end.sender_tcp_congestion,
        "server_port": document.start.connected[0].remote_port,
        "send_buffer_bytes": document.sender.start.sndbuf_actual,
        "receive_buffer_bytes": document.receiver.start.rcvbuf_actual,
    }


def _metrics(document: Document) -> dict[str, float | int | None]:
    sent, received = document.end.sum_sent, document.end.sum_received
    metrics: dict[str, float | int | None] = {
        "throughput_bits_per_s": received.bits_per_second,
        "sent_bits_per_s": sent.bits_per_second,
    }
    back_sent = document.end.sum_sent_bidir_reverse
    back_received = document.end.sum_received_bidir_reverse
    if back_sent is not None and back_received is not None:
        metrics["throughput_reverse_bits_per_s"] = back_received.bits_per_second
        metrics["sent_reverse_bits_per_s"] = back_sent.bits_per_second
    if document.start.test_start.protocol == "TCP":
        if sent.retransmits is None:
            raise DocumentError("iperf3's document is not a complete run: no retransmits")
        return metrics | {
            "retransmits": sent.retransmits,
            "rtt_us_mean": _rtt_us_mean(document.sender),
        }
    return metrics | _datagrams(document)


def _rtt_us_mean(sender: Document | ServerDocument) -> float | None:
    """Mean of the kernel's smoothed round trip, read by the sender at the end of each interval.

    Not ``end.streams[].sender.mean_rtt``: that one has the omitted intervals in it (seen: 89, then
    113 and 223 us make 141), and is 0 in the document of a client that receives.
    """
    readings = [
        stream.rtt
        for report in sender.intervals
        if not report.sum.omitted
        for stream in report.streams
        if stream.rtt
    ]
    return fmean(readings) if readings else None


def _datagrams(document: Document) -> dict[str, float | int | None]:
    """Loss as the receiver counts it, by sequence numbers.

    Its share is of the datagrams that the receiver expected in its own window; iperf3 divides by
    what the sender sent in *its* window, and gives 0 for each stream of a server that lost some.
    Out of order is known to the receiver only: the sender's document says 0 (seen: 0, true 154).
    """
    sent, received = document.end.sum_sent, document.end.sum_received
    out_of_order = [
        stream.udp.out_of_order for stream in document.receiver.end.streams if stream.udp
    ]
    lost, expected, jitter_ms = received.lost_packets, received.packets, received.jitter_ms
    if lost is None or not expected or jitter_ms is None or not sent.packets or not out_of_order:
        raise DocumentError("iperf3's document is not a complete run: UDP counts are missing")
    return {
        "lost_percent": 100 * lost / expected,
        "lost_datagrams": lost,
        "datagrams": sent.packets,
        "out_of_order": sum(out_of_order),
        "jitter_us": jitter_ms * 1000,
    }


def _one(addresses: set[str], side: str) -> str:
    """The address that all data connections share."""
    if len(addresses) != 1:
        raise DocumentError(f"the data connections have {len(addresses)} {side} addresses")
    return addresses.pop()
