"""h2load: HTTP/1.1 and HTTP/2 requests against nginx, with the whole distribution of their times.

h2load (nghttp2) is called by ``http-load`` of the tool box, which says how, and which makes a
histogram of h2load's log of single requests and asks the server how many it has had.
"""

import re
from collections.abc import Sequence

from steps.lib.models import Http, Traffic
from steps.lib.traffic.distribution import PERCENTILES, percentile
from steps.lib.traffic.http_document import Document, read_document
from steps.lib.traffic.protocol import (
    Boundary,
    Bucket,
    Clock,
    Interval,
    ToolRecord,
    VersionError,
)

PORT = 30525
"""Published as a NodePort too, so it lies in the range that Kubernetes has for them."""

SERVER = "nginx/1.26.3"
CONFIGURATIONS = "/usr/local/share/cnibench"

_BOUNDARIES: dict[bytes, Boundary] = {
    b'{"event":"window","edge":"start"}': "window-start",
    b'{"event":"window","edge":"end"}': "window-end",
}
_VERSIONS = re.compile(rb'\{"event":"start","version":"([^"]{1,20})","server":"([^"]{1,40})"')


class H2loadClock(Clock):
    """The program passes on when h2load comes to the ends of its window."""

    def feed(self, line: bytes) -> Boundary | None:
        """See ``Clock``."""
        return _BOUNDARIES.get(line.rstrip())


class H2load:
    """One server and one client process a cell; the server is ended by who started it."""

    name = "h2load"
    version = "1.64.0"
    kinds: tuple[str, ...] = ("http1", "http2")
    version_command: tuple[str, ...] | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """Both versions of HTTP on one port."""
        return (PORT,)

    def server_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """It listens on all addresses of the family: TCP answers from the one that was dialled."""
        configuration = f"{CONFIGURATIONS}/nginx-{traffic.family}.conf"
        return "nginx", "-e", "stderr", "-p", CONFIGURATIONS, "-c", configuration

    def client_command(self, traffic: Traffic, address: str) -> Sequence[str]:
        """No setting has a default."""
        assert isinstance(traffic, Http), "tool_for gives h2load HTTP only"
        shape = (traffic.response_bytes, traffic.connections, traffic.requests_each)
        numbers = (PORT, *shape, traffic.omit_s, traffic.duration_s)
        return "http-load", traffic.kind, address, *map(str, numbers)

    def end_signal(self, traffic: Traffic) -> int | None:
        """See ``Tool``: the server does not wait for anything."""
        return None

    def clock(self, traffic: Traffic) -> Clock:
        """A fresh watcher of one run's output."""
        return H2loadClock()

    def parse(self, output: bytes, version_output: bytes = b"") -> ToolRecord:
        """See ``Tool``. The document names both programs' versions, which are looked at first."""
        if said := _VERSIONS.match(output):
            found, server = said[1].decode(errors="replace"), said[2].decode(errors="replace")
            if (found, server) != (self.version, SERVER):
                raise VersionError(
                    f"the document is of h2load {found} and {server}, pinned {self.version} and "
                    f"{SERVER}"
                )
        document = read_document(output)
        start, end = document.start, document.end
        return ToolRecord(
            tool=self.name,
            version=start.version,
            effective=_effective(document),
            metrics=_metrics(document),
            intervals=tuple(
                Interval(float(at), 1.0, transactions_per_s=float(count))
                for at, count in enumerate(end.intervals)
            ),
            duration_s=float(document.said.duration_s),
            client_address=start.client_address,
            server_address=start.server_address,
            mss_bytes=start.mss_bytes,
            congestion_control=start.congestion_control,
            started_utc_s=start.started_utc_s,
            histogram=tuple(Bucket(float(low), float(high), n) for low, high, n in end.histogram),
        )


def _effective(document: Document) -> dict[str, str | int | float | None]:
    start, end, said = document.start, document.end, document.said
    return {
        "kind": said.kind,
        "protocol": "tcp",
        "connections": said.connections,
        "requests_each": start.requests_each,
        "response_bytes": start.response_bytes,
        "duration_s": said.duration_s,
        "omit_s": said.omit_s,
        "server": start.server,
        "server_port": start.server_port,
        "window_s": end.seconds,
        "served_per_s": end.served / max(end.served_s, 1e-9),
        "received_bytes": said.received_bytes,
    }


def _metrics(document: Document) -> dict[str, float | int | None]:
    """Latencies are from sending a request to the end of its answer, in us, of answered ones."""
    end, said, latency = document.end, document.said, document.end.latency_us
    metrics: dict[str, float | int | None] = {
        "transactions_per_s": end.requests / said.duration_s,
        "failed_requests": said.failed,
        "latency_us_min": float(latency.min),
        "latency_us_mean": latency.mean,
        "latency_us_max": float(latency.max),
        "latency_us_stddev": latency.stddev,
    }
    for name, percent in PERCENTILES.items():
        found = percentile(end.histogram, percent, latency.min, latency.max)
        metrics[f"latency_us_{name}"] = found
    return metrics
