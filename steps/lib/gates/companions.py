"""The gate about what runs beside a cell's own client and server: a load, more pairs."""

from collections.abc import Iterator

from steps.lib.beside import Ran, load_count
from steps.lib.gates.base import Evidence, Found, gate, verdict
from steps.lib.plan import pairs_of
from steps.lib.reading import Window
from steps.lib.traffic import asked

COVERED = 0.99
"""Of the window; the reader's date of a companion's first second is late by milliseconds."""


@gate(
    evidence="The whole document of each companion, and what its receiver got in each second of "
    "the window",
    source="a load that ends early gives the latency of an idle path under the name of a loaded "
    "one (method, section 4.3); pairs that run one after the other",
    cost="4 s a cell that has any: they begin before it and end after it",
    needs=("window",),
)
def companions(e: Evidence) -> Found:
    """The load, and every other pair, ran as asked during the whole window."""
    wanted = load_count(e.cell.traffic) + pairs_of(e.cell.traffic) - 1
    if not wanted:
        return "not_applicable", "the cell runs alone"
    problems = [problem for ran in e.beside for problem in _problems(e, ran)]
    if len(e.beside) != wanted:
        problems.append(f"{len(e.beside)} companions ran of {wanted}")
    rate = sum(ran.received(e.the_window).bits_per_s for ran in e.beside)
    text = f"{len(e.beside)} companions received {rate:.0f} bit/s all through the window"
    return verdict(not problems), "; ".join(problems) or text


def _problems(e: Evidence, ran: Ran) -> Iterator[str]:
    name = f"{ran.companion.role} on port {ran.companion.tool.ports[0]}"
    if ran.record is None:
        yield f"{name}: {ran.error}"
        return
    effective = ran.record.effective
    for key, value in asked(ran.companion.traffic).items():
        if effective.get(key) != value:
            yield f"{name}: {key}: asked {value!r}, effective {effective.get(key)!r}"
    yield from _gaps(name, ran, e.the_window)
    for end in ("client", "server"):
        node, first = getattr(ran.companion.ends, end).node.name, getattr(e.ends, end).node.name
        if node != first:
            yield f"{name}: its {end} is on {node}, that of the first pair on {first}"


def _gaps(name: str, ran: Ran, window: Window) -> Iterator[str]:
    received = ran.received(window)
    if received.covered < COVERED:
        yield f"{name}: ran in {100 * received.covered:.0f} % of the window"
    if received.silent:
        yield f"{name}: nothing came in {received.silent} s of the window"
