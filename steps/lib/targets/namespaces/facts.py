"""What the machine is: both nodes are namespaces of one kernel, so their facts are the same."""

import os
import platform
import re
from pathlib import Path

from steps.lib.targets.protocol import NodeFacts

_BASE_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency")


def read(underlay_mtu: int, toolbox_digest: str) -> NodeFacts:
    """Read everything from proc."""
    processor = _fields(Path("/proc/cpuinfo").read_text().partition("\n\n")[0])
    memory = _fields(Path("/proc/meminfo").read_text())
    return NodeFacts(
        kernel=platform.release(),
        cpu_model=processor.get("model name", platform.machine()),
        cpus=os.cpu_count() or 1,
        memory_bytes=int(memory["MemTotal"].split()[0]) * 1024,
        cpu_nominal_hz=_nominal_hz(processor),
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        underlay_mtu_bytes=underlay_mtu,
        toolbox_digest=toolbox_digest,
    )


def _nominal_hz(processor: dict[str, str]) -> float | None:
    """Frequency that the processor is sold as: the present one changes from moment to moment.

    Where only the present one is known (virtual machines, where it is a constant) it is rounded to
    100 MHz, so that the environment's fingerprint stays the same from boot to boot.
    """
    if _BASE_FREQUENCY.exists():
        return float(_BASE_FREQUENCY.read_text()) * 1e3
    sold_as = re.search(r"@ ([\d.]+)GHz", processor.get("model name", ""))
    if sold_as:
        return float(sold_as[1]) * 1e9
    present_mhz = processor.get("cpu MHz")
    return None if present_mhz is None else round(float(present_mhz), -2) * 1e6


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
