"""Drops that are no socket's: of the CPUs' backlogs, and of the nodes' uplinks."""

from dataclasses import replace

from steps.lib.reading import Window
from steps.lib.targets.observations import Counters
from steps.lib.targets.proc import backlog_drops
from tests.evidence import sound


def after(window: Window, place: str, backlog: int, uplink: int) -> Window:
    """The same window, in which a node dropped so many packets."""
    was = window.last.counters[place]
    devices = {
        name: replace(device, rx_dropped_packets=uplink) for name, device in was.devices.items()
    }
    counted = Counters(devices, {**was.stack, "Softnet.dropped": backlog})
    last = replace(window.last, counters={**window.last.counters, place: counted})
    return replace(window, last=last)


def test_drops_of_a_backlog_are_of_the_worse_node_and_of_uplinks_of_both() -> None:
    window = sound().window
    assert window
    assert (window.backlog_dropped_packets, window.uplink_dropped_packets) == (0, 0)
    window = after(after(window, "client-node", 3, 5), "server-node", 4, 7)
    assert (window.backlog_dropped_packets, window.uplink_dropped_packets) == (4, 12)


def test_an_uplink_that_both_ends_share_is_counted_once() -> None:
    window = sound().window
    assert window
    one = replace(window.ends.server, node=window.ends.client.node)
    window = replace(window, ends=replace(window.ends, server=one))
    window = after(after(window, "client-node", 3, 5), "server-node", 3, 5)
    assert (window.backlog_dropped_packets, window.uplink_dropped_packets) == (3, 5)


def test_a_backlogs_drops_are_the_second_number_of_each_cpu() -> None:
    text = "0000ffff 0000000a 00000010 00000000\n0000ffff 00000001 00000013 00000000\n"
    assert backlog_drops(text) == 11
