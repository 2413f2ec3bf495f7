"""Counters of a network namespace, read as text from proc in well below a millisecond."""

from pathlib import Path

from steps.lib.targets import features, proc
from steps.lib.targets.namespaces import netns
from steps.lib.targets.observations import Counters, DeviceCounters

_NET = Path("/proc/thread-self/net")
"""Not ``/proc/net``, which is the main thread's whatever namespace this thread is in."""


def read(namespace: str | None) -> Counters:
    """Counters of all devices and of the stack of a namespace, or of our own, now."""
    with netns.inside(namespace):
        devices = proc.devices((_NET / "dev").read_text())
        stack = proc.stack(_NET)
        offloads = features.active(devices)
    counted = {name: DeviceCounters(*each) for name, each in devices.items()}
    return Counters(counted, stack, offloads)
