"""Outputs of the real tools, recorded; see README.md."""

import json
from pathlib import Path
from typing import Any

VERSION_OUTPUT = b"Netperf version 2.7.1\n"
"""What ``netperf -V`` prints, the one thing that its record lacks."""


def output(name: str) -> bytes:
    """A recorded output, byte by byte."""
    return (Path(__file__).parent / name).read_bytes()


def events(text: bytes) -> list[dict[str, Any]]:
    """The events of an output of iperf3."""
    return [json.loads(line) for line in text.splitlines()]
