"""What the kernel tells in proc, read from its text: the same on every target.

Only the standard library is used here: the program that runs on the nodes of a cluster
(``kubernetes/agent``) is made of such files.
"""

import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PF_KTHREAD = 0x00200000
"""Bit of a kernel thread in the flags of ``/proc/<pid>/stat`` (the seventh field behind the name).

The parent's number tells it in the machine's own PID namespace only.
"""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CONNTRACK_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_BASE_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency")


class Device(NamedTuple):
    """Counters of one network device since its creation."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_dropped_packets: int


class Modes(NamedTuple):
    """CPU seconds of a machine since boot, by what they were spent for."""

    user_s: float
    system_s: float
    idle_s: float
    iowait_s: float
    irq_s: float
    softirq_s: float
    steal_s: float


class Machine(NamedTuple):
    """What a machine is."""

    kernel: str
    cpu_model: str
    cpus: int
    memory_bytes: int
    cpu_nominal_hz: float | None
    boot_id: str


def devices(text: str) -> dict[str, Device]:
    """``net/dev``: two headings, then ``name: bytes packets (6 more) bytes packets (...)``."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = [int(field) for field in rest.split()]
        found[name.strip()] = Device(fields[0], fields[8], fields[1], fields[9], fields[3])
    return found


def pairs(text: str) -> dict[str, int]:
    """``net/snmp``: lines ``Tcp: OutSegs ...`` and ``Tcp: 12 ...`` become ``Tcp.OutSegs: 12``."""
    lines = iter(text.splitlines())
    found = {}
    for heading, values in zip(lines, lines, strict=True):
        group, names = heading.split(":", 1)
        numbers = values.split(":", 1)[1].split()
        found.update({f"{group}.{n}": int(v) for n, v in zip(names.split(), numbers, strict=True)})
    return found


def stack(net: Path) -> dict[str, int]:
    """Counters of the network stack, and how full its tables are, of this thread's namespace.

    As ``Tcp.OutSegs``; of connection tracking ``Conntrack.entries``, ``.max``, ``.drop`` and so on,
    if there is any; of sockets ``Sockets.TCP.inuse``, ``.tw`` and so on; ``Softnet.dropped`` is of
    the whole kernel.

    Args:
        net: The thread's own directory of proc. Not ``/proc/net``, which is the main thread's.
    """
    found = pairs((net / "snmp").read_text()) | pairs((net / "netstat").read_text())
    found |= sockets((net / "sockstat").read_text())
    found["Softnet.dropped"] = backlog_drops((net / "softnet_stat").read_text())
    if (net / "snmp6").exists():
        found |= udp6((net / "snmp6").read_text())
    try:
        found |= conntrack((net / "stat/nf_conntrack").read_text())
        found["Conntrack.max"] = int(_CONNTRACK_MAX.read_text())
    except FileNotFoundError:
        pass  # The kernel tracks no connections.
    return found


def backlog_drops(text: str) -> int:
    """``net/softnet_stat``: a line for each CPU, hexadecimal; the second is packets dropped."""
    return sum(int(line.split()[1], 16) for line in text.splitlines())


def udp6(text: str) -> dict[str, int]:
    """``net/snmp6``: a line ``Udp6InDatagrams 12`` becomes ``Udp6.InDatagrams: 12``."""
    fields = (line.split() for line in text.splitlines() if line.startswith("Udp6"))
    return {name.replace("Udp6", "Udp6.", 1): int(value) for name, value in fields}


def conntrack(text: str) -> dict[str, int]:
    """``net/stat/nf_conntrack``: a heading, then hexadecimal numbers for each CPU.

    ``entries`` is of the whole table on each line.
    """
    heading, *rows = (line.split() for line in text.splitlines())
    columns = [[int(number, 16) for number in column] for column in zip(*rows, strict=True)]
    found = {f"Conntrack.{n}": sum(c) for n, c in zip(heading, columns, strict=True)}
    return found | {"Conntrack.entries": columns[0][0]}


def sockets(text: str) -> dict[str, int]:
    """``net/sockstat``: lines such as ``TCP: inuse 4 orphan 0 tw 3``."""
    found = {}
    for line in text.splitlines():
        group, fields = line.split(":")[0], line.split()[1:]
        numbers = zip(fields[::2], fields[1::2], strict=True)
        found.update({f"Sockets.{group}.{name}": int(value) for name, value in numbers})
    return found


def throttled(groups: Iterable[Path]) -> dict[str, int]:
    """How often each control group, and each one above it, had used up its share of CPU.

    Groups whose ``cpu.stat`` does not tell cannot limit CPU and are left out.
    """
    found: dict[str, int] = {}
    for group in groups:
        for place in (group, *group.parents):
            try:
                lines = (place / "cpu.stat").read_text().splitlines()
            except OSError:
                continue  # It is no group, or ended just now.
            counts = [int(line.split()[1]) for line in lines if line.startswith("nr_throttled ")]
            found |= {str(place): count for count in counts}
    return found


def modes(text: str) -> Modes:
    """The first line of ``stat``; guests are part of user already."""
    seconds = [int(field) / _TICKS_PER_S for field in text.partition("\n")[0].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, steal = seconds[:8]
    return Modes(user + nice, system, idle, iowait, irq, softirq, steal)


def machine() -> Machine:
    """Read what this machine is."""
    processor = _fields(Path("/proc/cpuinfo").read_text().partition("\n\n")[0])
    memory = _fields(Path("/proc/meminfo").read_text())
    return Machine(
        kernel=platform.release(),
        cpu_model=processor.get("model name", platform.machine()),
        cpus=os.cpu_count() or 1,
        memory_bytes=int(memory["MemTotal"].split()[0]) * 1024,
        cpu_nominal_hz=_nominal_hz(processor),
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
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
