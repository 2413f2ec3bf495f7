"""Small documents of iperf3, made by hand: whole runs, of new and of old versions."""

from typing import Any


def tcp(version: str = "iperf 3.16", seconds: int = 3, **start: Any) -> dict[str, Any]:
    """A client's whole run of 1 GB a second."""
    sums = [_sum(n, 1.0, 10**9) | {"omitted": False} for n in range(seconds)]
    total = _sum(0, float(seconds), seconds * 10**9)
    test = {
        "protocol": "TCP", "num_streams": 1, "blksize": 131072, "omit": 0, "duration": seconds,
        "bytes": 0, "blocks": 0, "reverse": 0,
    }  # fmt: skip
    return {
        "start": {
            "connected": [{"socket": 5}],
            "version": version,
            "timestamp": {"time": "Sat, 27 Jan 2024 14:43:53 GMT", "timesecs": 1706366633},
            "connecting_to": {"host": "10.0.0.2", "port": 5201},
            "cookie": "a" * 36,
            "tcp_mss_default": 1398,
            "test_start": test,
            **start,
        },
        "intervals": [{"streams": [], "sum": s} for s in sums],
        "end": {"sum_sent": total | {"retransmits": 7}, "sum_received": total},
    }


def udp(lost: int = 10) -> dict[str, Any]:
    """A client's whole run as before 3.10: one sum, the sender's, with the receiver's losses."""
    document = tcp("iperf 3.0.11")
    document["start"]["test_start"] |= {"protocol": "UDP", "blksize": 1000}
    packets = 3 * 10**6
    counts = {"packets": packets, "lost_packets": lost, "lost_percent": 100 * lost / packets}
    document["end"] = {"sum": _sum(0, 3.0, 3 * 10**9) | counts | {"jitter_ms": 0.02}}
    return document


def _sum(start: float, seconds: float, count: int) -> dict[str, Any]:
    return {
        "start": start,
        "end": start + seconds,
        "seconds": seconds,
        "bytes": count,
        "bits_per_second": 8.0 * count / seconds,
    }
