"""Counters at the two ends of a measured window, and what happened in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from steps.lib.models import DeviceRef
from steps.lib.targets.protocol import Counters, CpuTimes, Endpoint, Node, Target


@dataclass(frozen=True)
class Ends:
    """The two endpoints of a cell and the address the client dials."""

    client: Endpoint
    server: Endpoint
    address: str

    @property
    def shared(self) -> bool:
        """Whether both ends live in one network namespace, so that its loopback carries all."""
        return self.address.startswith("127.") or self.client.address == self.server.address

    @property
    def probe_address(self) -> str:
        """Where a ping goes: a Service's address answers on the Service's ports only."""
        virtual = self.address == self.server.service_address
        return self.server.address if virtual else self.address

    def device(self, reference: DeviceRef) -> tuple[str, str | None]:
        """Resolve ``client-node:@uplink`` and the like to a place and the name of a device.

        The name is None where the endpoint has no such device, as a host has no ``@pair``.
        """
        place, _, device = reference.partition(":")
        endpoint = self.client if place.startswith("client") else self.server
        names = {"@uplink": endpoint.node.uplink, "@pair": endpoint.pair}
        return place, names.get(device, device)

    @property
    def places(self) -> dict[str, Endpoint | Node]:
        """Every place whose counters are read, by the name that ``DeviceRef`` gives it."""
        return {
            "client": self.client,
            "server": self.server,
            "client-node": self.client.node,
            "server-node": self.server.node,
        }


@dataclass(frozen=True)
class Reading:
    """All counters at one instant."""

    at: datetime
    cpu: CpuTimes
    counters: Mapping[str, Counters]


def read(target: Target, ends: Ends) -> Reading:
    """Read CPU first, since that is what the window is divided by, then the other counters."""
    cpu, counters = target.reading(ends.places)
    return Reading(datetime.now(UTC), cpu, counters)


@dataclass(frozen=True)
class Window:
    """What happened between two readings."""

    first: Reading
    last: Reading
    ends: Ends

    @property
    def wall_s(self) -> float:
        """Seconds between the readings of the CPU counters."""
        return self.last.cpu.at_s - self.first.cpu.at_s

    @property
    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by mode, of all nodes together."""
        first, last = self.first.cpu, self.last.cpu
        modes = ("user", "system", "idle", "iowait", "irq", "softirq", "steal", "foreign")
        return {m: getattr(last, f"{m}_s") - getattr(first, f"{m}_s") for m in modes}

    @property
    def capacity_s(self) -> float:
        """CPU seconds there were."""
        return self.last.cpu.cpus * self.wall_s

    @property
    def busy_s(self) -> float:
        """CPU seconds spent: capacity - idle - iowait - steal.

        Not the sum of the busy modes: those are sampled by tick and miss short work, up to a third
        of it for request/response (measurement method, section 5.1).
        """
        used = self.cpu_s
        return max(0.0, self.capacity_s - used["idle"] - used["iowait"] - used["steal"])

    @property
    def steal_percent(self) -> float:
        """Time the hypervisor took, in percent of what there was."""
        return 100 * self.cpu_s["steal"] / self.capacity_s

    @property
    def foreign_percent(self) -> float:
        """CPU of processes that are not ours, in percent of what there was."""
        return 100 * self.cpu_s["foreign"] / self.capacity_s

    def group_s(self, group: str) -> float:
        """Exact CPU seconds of the processes started in ``group``."""
        return self.last.cpu.groups.get(group, 0.0) - self.first.cpu.groups.get(group, 0.0)

    @property
    def cycles(self) -> int | None:
        """Cycles by hardware counters, or None where there are none."""
        if self.first.cpu.cycles is None or self.last.cpu.cycles is None:
            return None
        return self.last.cpu.cycles - self.first.cpu.cycles

    def stack(self, place: str, counter: str) -> int:
        """Growth of a counter of a place's network stack, for example ``Tcp.OutSegs``."""
        return self.last.counters[place].stack.get(counter, 0) - self.first.counters[
            place
        ].stack.get(counter, 0)

    def device_bytes(self, place: str, device: str) -> int | None:
        """Bytes a device moved in its busier direction; None if it was not there all the time."""
        first = self.first.counters[place].devices.get(device)
        last = self.last.counters[place].devices.get(device)
        if first is None or last is None:
            return None
        return max(last.rx_bytes - first.rx_bytes, last.tx_bytes - first.tx_bytes)
