"""What a gate is, what it may look at, and what it says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from steps.lib.beside import Ran
from steps.lib.models import Cell, Limits, Plugin
from steps.lib.policing import Policed
from steps.lib.reading import Ends, Window
from steps.lib.targets.wire import Seen
from steps.lib.traffic.protocol import DocumentError, Tool, ToolRecord

Verdict = Literal["pass", "fail", "not_applicable"]
Need = Literal["record", "window"]

NOTHING = "nothing: it is read anyway"
AROUND = "a reading before and one after the run, for all such gates together: milliseconds each"


@dataclass(frozen=True)
class Finding:
    """What one gate says of one run, and what it saw."""

    gate: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """All that the gates may look at.

    ``window`` is what the tool measured; ``around`` begins before the tool's first packet and ends
    after its last one, also where the tool reports nothing. ``offloads`` are those of the nodes'
    devices when the block began, by ``<node>/<device>``. ``same_document`` is the cell of the block
    that had the very same document, if there is one. ``baseline_tracked`` is of a reference cell
    only: whether the block's first one had its connections tracked, as far as that is known.
    ``wire`` is what was seen of the connection on the client node's uplink, where the plugin claims
    to encrypt. ``beside`` is what ran at the same time: a load, more pairs;
    ``policed`` the policy around it, as it was seen to work.
    """

    cell: Cell
    plugin: Plugin
    limits: Limits
    tool: Tool
    ends: Ends
    expected_mtu_bytes: Mapping[str, int]
    probe: Mapping[int, bool]
    untuned: tuple[str, ...]
    fingerprints: tuple[str | None, str | None, str | None]
    record: ToolRecord | None
    document_error: DocumentError | None
    window: Window | None
    around: Window
    port_range: str | None = None
    offloads: Mapping[str, int] = field(default_factory=dict)
    same_document: str | None = None
    baseline_tracked: bool | None = None
    wire: Seen | None = None
    beside: tuple[Ran, ...] = ()
    policed: Policed | None = None

    @property
    def the_record(self) -> ToolRecord:
        """The record, for gates that need one."""
        assert self.record is not None, "such a gate states that it needs a record"
        return self.record

    @property
    def the_window(self) -> Window:
        """The window, for gates that need one."""
        assert self.window is not None, "such a gate states that it needs a window"
        return self.window


Found = tuple[Verdict, str]
Check = Callable[[Evidence], Found]


@dataclass(frozen=True)
class Gate:
    """One gate: its check, and what a reader should know of it.

    Attributes:
        name: As it stands in rows and reasons.
        proves: The part of the claim that a run which passes has proven.
        evidence: What is looked at, and from where.
        cost: What reading that takes of a cell's time.
        source: Who found out that this has to be proven.
        needs: Without these, only the gate that finds them missing has something to say.
        is_noise: It judges the machine, not the cell: failing it is worth another try.
    """

    name: str
    proves: str
    evidence: str
    cost: str
    source: str
    check: Check
    needs: tuple[Need, ...] = ()
    is_noise: bool = False

    def __call__(self, evidence: Evidence) -> Finding:
        """Judge one run."""
        if "record" in self.needs and evidence.record is None:
            return Finding(self.name, "not_applicable", "the tool's document is not complete")
        if "window" in self.needs and evidence.window is None:
            text = "the tool did not report both ends of its window"
            return Finding(self.name, "not_applicable", text)
        return Finding(self.name, *self.check(evidence))


def gate(
    *,
    evidence: str,
    source: str,
    cost: str = NOTHING,
    needs: tuple[Need, ...] = (),
    is_noise: bool = False,
) -> Callable[[Check], Gate]:
    """Make a gate of a check; its docstring is what the gate proves, ``path_mtu`` its name."""

    def made(check: Check) -> Gate:
        assert check.__doc__, "a gate says what it proves"
        name, proves = check.__name__.replace("_", "-"), " ".join(check.__doc__.split())
        return Gate(name, proves, evidence, cost, source, check, needs, is_noise)

    return made


def verdict(passed: bool) -> Verdict:
    """Pass or fail."""
    return "pass" if passed else "fail"
