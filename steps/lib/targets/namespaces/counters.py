"""Counters of a network namespace, read as text from proc in well below a millisecond."""

from pathlib import Path

from steps.lib.targets import proc
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
    return Counters(
        {name: DeviceCounters(*counted) for name, counted in proc.devices(devices).items()},
        {k: v for text in stack for k, v in proc.pairs(text).items()},
    )
