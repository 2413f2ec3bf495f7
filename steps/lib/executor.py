"""The local executor: the same stages as on Argo, one after the other, in this process."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from steps.lib import ending, progress
from steps.lib.afterwards import afterwards
from steps.lib.catalog import Job
from steps.lib.errors import CnibenchError, InputError, OwnershipError, TransientError
from steps.lib.estimate import BLOCK_OVERHEAD_S, cell_time_s
from steps.lib.manifest import plan_on, register, require
from steps.lib.missing import unmeasured_cells
from steps.lib.plan import Block
from steps.lib.settle import release, settle_others
from steps.lib.stage import retries_of
from steps.lib.store import Store, open_store
from steps.lib.targets import open_target
from steps.lib.targets.protocol import Target
from steps.pipeline import BLOCK, Stage, stage_input

LOG = logging.getLogger("cnibench")


@dataclass(frozen=True)
class Event:
    """What just began (``status`` is None) or ended, for whoever shows progress."""

    block: Block
    stage: str
    cell: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Start:
    """What is going to run, and about how long it takes."""

    blocks: int
    cells: int
    expected_s: float


Report = Callable[[Event | Start], None]


def run_campaign(job: Job, store_address: str, report: Report) -> list[str]:
    """Run all that is missing of a campaign, block by block; a failed block does not stop it.

    Blocks with nothing missing are not touched. At the end, and on any error or interrupt, the
    target is taken down.

    Returns:
        Ids of the blocks in which a stage failed.

    Raises:
        InputError: the campaign cannot run here; nothing was started.
        OwnershipError: another campaign holds the target.
    """
    store = open_store(store_address)
    target = open_target(job.campaign.target)
    require(target)
    with target.lock():
        settle_others(target)
        with afterwards(lambda: _leave(target, job.campaign.name), "the target is not taken down"):
            register(job, target, store)
            to_do = _to_do(job, target, store)
            report(_start(to_do))
            return [block.id for block, _ in to_do if not run_block(block, store_address, report)]


def _leave(target: Target, campaign: str) -> None:
    """Take the target down, unless a block of another campaign still holds it.

    That one was killed; what it left is for the next block, its own or ours, that begins here.
    """
    state = target.load_state()
    if state is None or state.campaign == campaign:
        release(target)


def _to_do(job: Job, target: Target, store: Store) -> list[tuple[Block, list[str]]]:
    blocks = plan_on(job, target).blocks
    return [(b, cells) for b in blocks if (cells := unmeasured_cells(b, store))]


def _start(to_do: list[tuple[Block, list[str]]]) -> Start:
    times_s = [
        cell_time_s(block.cell(cell).cell.traffic, block.job.campaign.target.kind)
        for block, ids in to_do
        for cell in ids
    ]
    return Start(len(to_do), len(times_s), sum(times_s) + BLOCK_OVERHEAD_S * len(to_do))


def run_block(block: Block, store_address: str, report: Report) -> bool:
    """Run the stages of one block; what puts things back runs whatever happened before.

    Returns:
        Whether every stage ended well.

    Raises:
        InputError, OwnershipError: the next block would meet the same; the campaign ends.
    """
    campaign = block.job.campaign
    given = {"campaign": campaign.name, "target": campaign.target, "store": store_address}
    run = _BlockRun(block, report, given | {"block": block.id})
    first, *middle = [s for s in BLOCK if not s.always]
    if not run.tried(first):
        return False
    try:
        for stage in middle:
            if not run.tried(stage):
                break
    finally:
        run.put_back()
    return not run.failed


@dataclass
class _BlockRun:
    """A block while it runs: what its stages have put out so far."""

    block: Block
    report: Report
    known: dict[str, Any] = field(default_factory=dict)
    failed: bool = False

    def put_back(self) -> None:
        """Try every stage that always runs; the first grave error is raised after the last."""
        errors: list[Exception] = []
        for stage in (s for s in BLOCK if s.always):
            try:
                self.tried(stage)
            except Exception as error:  # Also one of ours: what follows still has to be put back.
                errors.append(error)
        if errors:
            raise errors[0]

    def tried(self, stage: Stage) -> bool:
        """Run a stage, all of its items, unless it is not needed; whether the block may go on."""
        if stage.only_if and not self.known[stage.only_if]:
            return True
        for item in self._items(stage):
            self.report(Event(self.block, stage.name))
            try:
                with progress.listening(lambda cell: self._pass_on(stage, cell)):
                    output = _with_retries(stage, self.known | item)
            except (InputError, OwnershipError):
                self.failed = True
                self.report(Event(self.block, stage.name, status="failed"))
                raise
            except CnibenchError as error:
                self.failed = True
                self.report(Event(self.block, stage.name, status=f"failed: {error}"))
                if stage.for_each is None:
                    return False
                continue
            status = getattr(output, "status", "done")
            self.report(Event(self.block, stage.name, status=status))
            if stage.for_each is None:
                self.known |= {name: getattr(output, name) for name in type(output).model_fields}
        return True

    def _pass_on(self, stage: Stage, cell: progress.Cell) -> None:
        self.report(Event(self.block, stage.name, cell.id, cell.status))

    def _items(self, stage: Stage) -> Iterator[dict[str, Any]]:
        if stage.for_each is None:
            return iter([{}])
        fan = stage.for_each
        return ({fan.item: value} for value in self.known[fan.output])


def _with_retries(stage: Stage, known: dict[str, Any]) -> Any:
    """Call a stage as Argo would: again on a transient error, and on no other; not at the end."""
    for _ in range(retries_of(stage.run)):
        try:
            return stage.run(stage_input(stage, known))
        except TransientError as error:
            if ending.is_told():
                raise
            LOG.warning("stage=%s is tried again: %s", stage.name, error)
    return stage.run(stage_input(stage, known))
