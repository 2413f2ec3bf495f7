"""Counters of a network namespace, read as text from proc in well below a millisecond."""

from pathlib import Path

from steps.lib.targets.namespaces import netns
from steps.lib.targets.protocol import Counters, DeviceCounters

_NET = Path("/proc/thread-self/net")
"""Not ``/proc/net``, which is the main thread's whatever namespace this thread is in."""

_STACK = ("snmp", "netstat")


def read(namespace: str) -> Counters:
    """Counters of all devices and of the stack of a namespace now."""
    with netns.inside(namespace):
        devices = (_NET / "dev").read_text()
        stack = [(_NET / name).read_text() for name in _STACK]
    return Counters(_devices(devices), {k: v for text in stack for k, v in _pairs(text).items()})


def _devices(text: str) -> dict[str, DeviceCounters]:
    """Two headings, then lines of ``name: rx_bytes rx_packets (6 more) tx_bytes tx_packets``."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = [int(field) for field in rest.split()]
        found[name.strip()] = DeviceCounters(fields[0], fields[8], fields[1], fields[9])
    return found


def _pairs(text: str) -> dict[str, int]:
    """Pairs of lines: ``Tcp: OutSegs ...`` and ``Tcp: 12 ...`` become ``Tcp.OutSegs: 12``."""
    lines = iter(text.splitlines())
    found = {}
    for heading, values in zip(lines, lines, strict=True):
        group, names = heading.split(":", 1)
        numbers = values.split(":", 1)[1].split()
        found.update({f"{group}.{n}": int(v) for n, v in zip(names.split(), numbers, strict=True)})
    return found
