"""Counters at the two ends of a measured window, and what happened in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from steps.lib.models import DeviceRef
from steps.lib.targets.observations import Counters, CpuTimes, DeviceCounters
from steps.lib.targets.proc import Modes
from steps.lib.targets.protocol import Endpoint, Node, Target

LOOPBACKS = {"ipv4": "127.0.0.1", "ipv6": "::1"}


@dataclass(frozen=True)
class Ends:
    """The two endpoints of a cell and the address the client dials."""

    client: Endpoint
    server: Endpoint
    address: str

    @property
    def shared(self) -> bool:
        """Whether both ends live in one network namespace, so that its loopback carries all."""
        return self._by_loopback or self.client.address == self.server.address

    @property
    def _by_loopback(self) -> bool:
        return self.address in LOOPBACKS.values()

    @property
    def own_address(self) -> str:
        """The server's own address at which what is sent to ``address`` comes in."""
        return self.address if self._by_loopback else self.server.address

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
class NodeUse:
    """What the CPUs of a node did in a window, in CPU seconds; cycles where they were counted."""

    cpus: int
    window_s: float
    modes: Modes
    cycles: int | None

    @property
    def busy_s(self) -> float:
        """CPU seconds spent: capacity - idle - iowait - steal.

        Not the sum of the busy modes: those are sampled by tick and miss short work, up to a third
        of it for request/response (measurement method, section 5.1).
        """
        modes = self.modes
        unused_s = modes.idle_s + modes.iowait_s + modes.steal_s
        return max(0.0, self.cpus * self.window_s - unused_s)


def _grown_s(first: Mapping[str, float], last: Mapping[str, float]) -> float:
    """CPU seconds of each by itself: one that ended would take along what it used before.

    One that came is counted whole, since it began within this time.
    """
    return sum(max(0.0, used_s - first.get(name, 0.0)) for name, used_s in last.items())


@dataclass(frozen=True)
class CpuUse:
    """What the CPUs of all nodes together did between two readings."""

    first: CpuTimes
    last: CpuTimes

    @property
    def spans_s(self) -> dict[str, float]:
        """Seconds between the two readings of each node, by its own clock."""
        last = self.last.instants
        return {node: last[node].at_s - i.at_s for node, i in self.first.instants.items()}

    @property
    def begun_anew(self) -> list[str]:
        """Nodes of which not both readings are of one kernel's life and one reader's."""
        last = self.last.instants
        return [
            node
            for node, i in self.first.instants.items()
            if (i.kernel, i.generation) != (last[node].kernel, last[node].generation)
        ]

    @property
    def capacity_s(self) -> float:
        """CPU seconds there were, of each kernel over its own time between the readings.

        What it idled is of that time too: 10 ms more on a node with 64 CPUs are 0.64 CPU seconds.
        """
        spans_s = self.spans_s
        return sum(i.cpus * spans_s[node] for node, i in self.last.kernels.items())

    @property
    def wall_s(self) -> float:
        """Seconds between the readings; of several kernels the mean over their CPUs."""
        return self.capacity_s / self.last.cpus

    @property
    def nodes(self) -> dict[str, NodeUse]:
        """What each kernel's CPUs did, by the node that tells of them."""
        spans_s, cycles = self.spans_s, self.cycles_by_node
        return {
            node: NodeUse(instant.cpus, spans_s[node], self._used(node), cycles.get(node))
            for node, instant in self.last.kernels.items()
        }

    def _used(self, node: str) -> Modes:
        first, last = self.first.modes[node], self.last.modes[node]
        return Modes(*(after - before for before, after in zip(first, last, strict=True)))

    @property
    def used_s(self) -> dict[str, float]:
        """CPU seconds by mode."""
        used = [node.modes for node in self.nodes.values()]
        return {m.removesuffix("_s"): sum(getattr(u, m) for u in used) for m in Modes._fields}

    @property
    def busy_s(self) -> float:
        """CPU seconds spent."""
        return sum(node.busy_s for node in self.nodes.values())

    @property
    def steal_percent(self) -> float:
        """Time the hypervisor took, in percent of what there was."""
        return 100 * self.used_s["steal"] / self.capacity_s

    @property
    def foreign_s(self) -> float:
        """CPU seconds of what is not ours, without the share of ``vanished``."""
        return _grown_s(self.first.foreign, self.last.foreign)

    @property
    def plugin_s(self) -> float:
        """CPU seconds of the plugin's pods."""
        return _grown_s(self.first.plugin, self.last.plugin)

    @property
    def vanished(self) -> list[str]:
        """Strangers that ended meanwhile: what they used until then is not known."""
        return sorted(self.first.foreign.keys() - self.last.foreign.keys())

    @property
    def foreign_percent(self) -> float:
        """CPU of what is not ours, as far as it is known, in percent of what there was."""
        return 100 * self.foreign_s / self.capacity_s

    def group_s(self, group: str) -> float:
        """Exact CPU seconds of the processes started in ``group``."""
        return self.last.groups.get(group, 0.0) - self.first.groups.get(group, 0.0)

    @property
    def throttled(self) -> dict[str, int]:
        """How often each control group of the tools had used up its share of CPU meanwhile."""
        first, last = self.first.throttled, self.last.throttled
        return {group: count - first[group] for group, count in last.items() if group in first}

    @property
    def clock_steps_s(self) -> dict[str, float]:
        """How far the real-time clock of each node was set, against its monotonic clock."""
        last, spans_s = self.last.instants, self.spans_s
        return {
            node: last[node].clock_s - i.clock_s - spans_s[node]
            for node, i in self.first.instants.items()
        }

    @property
    def cycles_by_node(self) -> dict[str, int]:
        """Cycles by hardware counters; none where they were not counted all the time."""
        first, last = self.first.cycles, self.last.cycles
        if self.begun_anew or first.keys() != last.keys():
            return {}
        return {node: count - first[node] for node, count in last.items()}

    @property
    def cycles(self) -> int | None:
        """Those of all nodes, or None."""
        counted = self.cycles_by_node
        return sum(counted.values()) if counted else None


@dataclass(frozen=True)
class Window:
    """What happened between two readings."""

    first: Reading
    last: Reading
    ends: Ends

    @property
    def cpu(self) -> CpuUse:
        """What the CPUs did."""
        return CpuUse(self.first.cpu, self.last.cpu)

    def stack(self, place: str, counter: str) -> int:
        """Growth of a counter of a place's network stack, for example ``Tcp.OutSegs``."""
        return self.last.counters[place].stack.get(counter, 0) - self.first.counters[
            place
        ].stack.get(counter, 0)

    def gauge(self, place: str, name: str) -> int:
        """The larger of two readings of something that goes up and down; 0 where it is not read."""
        readings = (self.first, self.last)
        return max(reading.counters[place].stack.get(name, 0) for reading in readings)

    def clock_s(self, node: str) -> tuple[float, float]:
        """Real time of both readings by the clock of a node; else, of who reads."""
        return _clock_s(self.first, node), _clock_s(self.last, node)

    def device_directions(self, place: str, device: str) -> tuple[int, int] | None:
        """Bytes that came in by a device, and that went out; None if it was not there all along."""
        ends = self._device(place, device)
        if ends is None:
            return None
        first, last = ends
        return last.rx_bytes - first.rx_bytes, last.tx_bytes - first.tx_bytes

    def device_bytes(self, place: str, device: str) -> int | None:
        """Bytes a device moved in its busier direction; None if it was not there all along."""
        moved = self.device_directions(place, device)
        return None if moved is None else max(moved)

    def device_packets(self, place: str, device: str) -> int | None:
        """What a device counted as packets, of both directions; None as in ``device_bytes``."""
        ends = self._device(place, device)
        if ends is None:
            return None
        first, last = ends
        return last.rx_packets - first.rx_packets + last.tx_packets - first.tx_packets

    @property
    def uplink_dropped_packets(self) -> int:
        """What the uplinks of the ends' nodes dropped of what came in, each uplink once."""
        nodes = {"client-node": self.ends.client.node, "server-node": self.ends.server.node}
        places = {node.name: (place, node.uplink) for place, node in nodes.items()}
        found = (self._device(*place) for place in places.values())
        return sum(
            last.rx_dropped_packets - first.rx_dropped_packets
            for first, last in filter(None, found)
        )

    @property
    def backlog_dropped_packets(self) -> int:
        """What CPUs dropped since their backlog was full, on the node that dropped more.

        The kernel counts for itself as a whole: nodes that are namespaces count the same.
        """
        return max(self.stack(place, "Softnet.dropped") for place in ("client-node", "server-node"))

    def _device(self, place: str, device: str) -> tuple[DeviceCounters, DeviceCounters] | None:
        first = self.first.counters[place].devices.get(device)
        last = self.last.counters[place].devices.get(device)
        return None if first is None or last is None else (first, last)


def _clock_s(reading: Reading, node: str) -> float:
    instant = reading.cpu.instants.get(node)
    return reading.at.timestamp() if instant is None else instant.clock_s
