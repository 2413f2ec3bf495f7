#!/usr/bin/env python3
"""http-load: h2load of nghttp2, with what a measurement needs beside its own words.

    http-load PROTOCOL ADDRESS PORT RESPONSE_BYTES CONNECTIONS REQUESTS_EACH OMIT_S DURATION_S

PROTOCOL is http1 or http2, both in clear text. It prints JSON, a line an event: start, window (its
edges, as h2load comes to them, for whoever reads counters meanwhile), end or error. h2load writes
the time of each request to a file, which is read when the window is over: buckets are exact below
256 us, then 128 to each power of two, the same in every run. The server (nginx) is asked at both
edges how many requests it has had. No setting has a default. Status: 0 after the end event, else 1.
"""

import collections
import http.client
import json
import math
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

STARTED = "Main benchmark duration is started for thread #0."
OVER = "Main benchmark duration is over for thread #0."
PROTOCOLS = {"http1": "--h1", "http2": "--no-tls-proto=h2c"}
STALL_S = 10


class FailureError(Exception):
    """Why there is no document."""


def say(event, **fields):
    """Print an event."""
    print(json.dumps({"event": event, **fields}, separators=(",", ":")), flush=True)


def main(protocol, address, port, response_bytes, connections, requests_each, omit_s, duration_s):
    """Do one run."""
    port, omit_s, duration_s = int(port), int(omit_s), int(duration_s)
    version = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=True)
    server = Server(address, port)
    found = server.get(f"/{response_bytes}")
    say(
        "start", version=version.stdout.strip().rpartition("/")[2], server=found.name,
        response_bytes=found.length, requests_each=int(requests_each), **server.connection(),
        started_utc_s=time.time(),
    )  # fmt: skip
    host = f"[{address}]" if ":" in address else address
    log, name = tempfile.mkstemp(prefix="http-load-")
    path = pathlib.Path(name)
    # A killed client is no load on what comes after it.
    command = (
        "setpriv", "--pdeathsig", "KILL", "--", "h2load", PROTOCOLS[protocol], "--threads=1",
        f"--clients={connections}",
        f"--max-concurrent-streams={requests_each}", f"--warm-up-time={omit_s}",
        f"--duration={duration_s}", f"--connection-inactivity-timeout={STALL_S}",
        "--window-bits=30", "--connection-window-bits=30", f"--log-file={path}",
        f"http://{host}:{port}/{response_bytes}",
    )  # fmt: skip
    try:
        run = Run(command, server, path)
    finally:
        path.unlink(missing_ok=True)
    with os.fdopen(log) as lines:
        say("end", **run.told(), **distribution(lines, run, duration_s))


class Server:
    """A connection of our own to the server, which is none of the measured ones."""

    Found = collections.namedtuple("Found", "name length body")

    def __init__(self, address, port):
        self.http = http.client.HTTPConnection(address, port, timeout=STALL_S)
        self.http.connect()

    def get(self, path):
        """Ask for a file; the connection stays open."""
        self.http.request("GET", path)
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise FailureError(f"GET {path}: status {answer.status}")
        return self.Found(answer.headers["Server"], len(body), body)

    def requests(self):
        """How many it has had, without those that ask; the third number of its status page."""
        numbers = re.findall(rb"\d+", self.get("/status").body)
        return int(numbers[3])

    def connection(self):
        """What the kernel tells of it; the measured ones go the same way."""
        sock = self.http.sock
        control = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        client, server = sock.getsockname(), sock.getpeername()
        return {
            "client_address": client[0],
            "server_address": server[0],
            "server_port": server[1],
            "mss_bytes": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG),
            "congestion_control": control.rstrip(b"\0").decode(),
        }


class Run:
    """One run of h2load, with the times of its window."""

    def __init__(self, command, server, path):
        self.edges, self.served, self.said = [], [], []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout:
                self.said.append(line.rstrip("\n"))
                if line.startswith((STARTED, OVER)):
                    self.edge(server, "start" if line.startswith(STARTED) else "end")
                elif line.startswith("spawning thread"):
                    path.unlink()  # h2load has it open by now: nothing of it stays after a kill.
        if process.returncode:
            raise FailureError(f"h2load ended with {process.returncode}: {self.said[-1:]}")
        if len(self.edges) != 2:
            raise FailureError("h2load did not come to both ends of its window")

    def edge(self, server, name):
        """Keep the time, tell whoever reads counters, and then ask the server for its count."""
        self.edges.append((time.monotonic(), time.time()))
        say("window", edge=name)
        self.served.append((server.requests(), time.monotonic()))

    def told(self):
        """Seconds of the window, what the server counted in it, and h2load's own words."""
        (began_s, _), (ended_s, _) = self.edges
        (before, counted_s), (after, _) = self.served
        words = [line for line in self.said if not line.startswith("progress: ")]
        return {
            "seconds": round(ended_s - began_s, 6),
            "served": after - before - 1,  # The request for the second count is in it.
            "served_s": round(ended_s - counted_s, 6),
            "said": words,
        }


def distribution(lines, run, duration_s):
    """Counts, latencies of answered requests, and how many ended in each second of the window."""
    began_us = run.edges[0][1] * 1e6
    buckets, seconds = collections.Counter(), [0] * duration_s
    failed, count, mean, squares, shortest, longest = 0, 0, 0.0, 0.0, math.inf, 0
    for line in lines:
        at, status, took = map(int, line.split("\t")[:3])
        # 0: h2load read its headers before the window, and its last byte in it.
        if not 200 <= status < 300 and status != 0:
            failed += 1
            continue
        count += 1
        from_mean = took - mean
        mean += from_mean / count
        squares += from_mean * (took - mean)
        shortest, longest = min(shortest, took), max(longest, took)
        shift = max(0, took.bit_length() - 8)
        buckets[took >> shift << shift, 1 << shift] += 1
        second = int((at + took - began_us) / 1e6)
        seconds[min(max(second, 0), duration_s - 1)] += 1
    if not count:
        raise FailureError("no request was answered")
    return {
        "requests": count,
        "failed": failed,
        "latency_us": {
            "min": shortest,
            "mean": round(mean, 3),
            "max": longest,
            "stddev": round(math.sqrt(squares / count), 3),
        },
        "intervals": seconds,
        "histogram": [(low, low + width, n) for (low, width), n in sorted(buckets.items())],
    }


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--version"]:
            print("http-load 1")
        else:
            main(*sys.argv[1:])
    except (FailureError, OSError, ValueError, TypeError, http.client.HTTPException) as error:
        say("error", message=f"{type(error).__name__}: {error}")
        sys.exit(1)
