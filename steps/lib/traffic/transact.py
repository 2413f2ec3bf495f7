"""transact: request and response with the whole distribution of their times, over TCP and UDP.

The program is the project's own (``images/toolbox/transact.c``, which says how it works), since no
packaged tool leaves out a warm-up, tells when its window opens and closes, and gives mergeable
histograms. ``benchmarks/transactions.py`` sets it beside netperf.
"""

import re
from collections.abc import Sequence

from steps.lib.models import Traffic, Transactions
from steps.lib.traffic.distribution import PERCENTILES, percentile
from steps.lib.traffic.protocol import (
    Boundary,
    Bucket,
    Clock,
    Interval,
    ToolRecord,
    VersionError,
)
from steps.lib.traffic.transact_document import Document, read_document

PORT = 30524
"""Published as a NodePort too, so it lies in the range that Kubernetes has for them."""

_KINDS = {("tcp", "one"): "tcp-rr", ("tcp", "each"): "tcp-crr", ("udp", "one"): "udp-rr"}
_BOUNDARIES: dict[bytes, Boundary] = {
    b'{"event":"window","edge":"start"}': "window-start",
    b'{"event":"window","edge":"end"}': "window-end",
}
_VERSION = re.compile(rb'\{"event":"start","version":"([^"]{1,20})"')


class TransactClock(Clock):
    """The program says itself when its window opens and closes."""

    def feed(self, line: bytes) -> Boundary | None:
        """See ``Clock``."""
        return _BOUNDARIES.get(line.rstrip())


class Transact:
    """One server and one client process a cell; the server is ended by who started it."""

    name = "transact"
    version = "1"
    kinds: tuple[str, ...] = ("tcp-rr", "tcp-crr", "udp-rr")
    version_command: tuple[str, ...] | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """The server of datagrams listens on the same port of TCP too, to tell that it is ready."""
        return (PORT,)

    def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """It is told all that it has to know, and asks the client nothing."""
        return "transact", "server", *_words(traffic, address)

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """No setting has a default."""
        assert isinstance(traffic, Transactions), "tool_for gives transact transactions only"
        paced = (traffic.omit_s, traffic.duration_s, traffic.rate_per_s or 0)
        return "transact", "client", *_words(traffic, address), *map(str, paced)

    def end_signal(self, traffic: Traffic) -> int | None:
        """See ``Tool``: the server does not wait for anything."""
        return None

    def clock(self, traffic: Traffic) -> Clock:
        """A fresh watcher of one run's output."""
        return TransactClock()

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        """See ``Tool``. The document names its version, which is looked at first."""
        if (said := _VERSION.match(output)) and said[1] != self.version.encode():
            raise VersionError(
                f"the document is of transact {said[1].decode(errors='replace')}, "
                f"pinned {self.version}"
            )
        document = read_document(output)
        start, end = document.start, document.end
        return ToolRecord(
            tool=self.name,
            version=start.version,
            effective=_effective(document),
            metrics=_metrics(document),
            intervals=tuple(
                Interval(
                    part.start_s,
                    part.end_s - part.start_s,
                    transactions_per_s=part.transactions / (part.end_s - part.start_s),
                )
                for part in document.measured
            ),
            duration_s=end.seconds,
            client_address=start.client_address,
            server_address=start.server_address,
            mss_bytes=start.mss_bytes,
            congestion_control=start.congestion_control,
            started_utc_s=start.started_utc_s,
            histogram=tuple(Bucket(low / 1e3, high / 1e3, n) for low, high, n in end.histogram),
        )


def _words(traffic: Traffic, address: str) -> tuple[str, ...]:
    """What server and client are told alike."""
    assert isinstance(traffic, Transactions), "tool_for gives transact transactions only"
    connections = "each" if traffic.kind == "tcp-crr" else "one"
    sizes = (str(traffic.request_bytes), str(traffic.response_bytes))
    return traffic.protocol, address, str(PORT), *sizes, connections


def _effective(document: Document) -> dict[str, str | int | float | None]:
    start = document.start
    same = ("protocol", "request_bytes", "response_bytes", "duration_s", "omit_s", "server_port")
    return {name: getattr(start, name) for name in same} | {
        "kind": _KINDS.get((start.protocol, start.connections)),
        "rate_per_s": start.rate_per_s or None,
        "send_buffer_bytes": start.send_buffer_bytes,
        "receive_buffer_bytes": start.receive_buffer_bytes,
    }


def _metrics(document: Document) -> dict[str, float | int | None]:
    """Latencies are of whole transactions, in us; of ``tcp-crr`` connecting and ending included."""
    end = document.end
    latency = end.latency_ns
    metrics: dict[str, float | int | None] = {
        "transactions_per_s": end.transactions / end.seconds,
        "latency_us_min": latency.min / 1e3,
        "latency_us_mean": latency.mean / 1e3,
        "latency_us_max": latency.max / 1e3,
        "latency_us_stddev": latency.stddev / 1e3,
    }
    for name, percent in PERCENTILES.items():
        found_ns = percentile(end.histogram, percent, latency.min, latency.max)
        metrics[f"latency_us_{name}"] = found_ns / 1e3
    if document.start.protocol == "udp":
        asked = end.transactions + end.lost
        metrics |= {
            "datagrams": asked,
            "lost_datagrams": end.lost,
            "lost_percent": 100 * end.lost / asked,
        }
    return metrics
