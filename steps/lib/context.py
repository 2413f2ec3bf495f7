"""What every stage needs, opened from a stage's input: the block, its target, its store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from steps.lib.catalog import Job
from steps.lib.environment import nominal_hz
from steps.lib.errors import CnibenchError, OwnershipError
from steps.lib.manifest import registered
from steps.lib.models import TargetSpec
from steps.lib.plan import Block, make_plan
from steps.lib.state import BlockState, Failure
from steps.lib.store import Store, open_store
from steps.lib.targets import open_target
from steps.lib.targets.protocol import Target


@dataclass(frozen=True)
class Context:
    """One block of a registered campaign, on its target, with its store.

    Stages are given names, and the job is read from the store when it is needed: what puts nodes
    back asks only the target, and must not depend on the store. ``documents`` are digests of what
    tools have said so far, each with its cell.
    """

    campaign: str
    block_id: str
    target: Target
    store_address: str
    documents: dict[str, str] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        """The store."""
        return open_store(self.store_address)

    @cached_property
    def job(self) -> Job:
        """The campaign with all that it names, as it was registered."""
        return registered(self.store, self.campaign)

    @cached_property
    def block(self) -> Block:
        """The block as it was planned."""
        return make_plan(self.job).block(self.block_id)

    @cached_property
    def nominal_hz(self) -> Callable[[str], float | None]:
        """Gives the nominal frequency of a node's CPUs; asked of the nodes once."""
        return nominal_hz(self.target)

    def state(self) -> BlockState:
        """The state of this block on the target.

        Raises:
            OwnershipError: the target is held by another block, or by none.
        """
        state = self.target.load_state()
        if state is None or not self._is_mine(state):
            holder = f"{state.campaign}/{state.block}" if state else "nobody"
            raise OwnershipError(
                f"target {self.target.name} is held by {holder}, not by "
                f"{self.campaign}/{self.block_id}; start the block again from its first stage"
            )
        return state

    def holds_target(self) -> bool:
        """Whether the block has claimed the target and not yet released it.

        What puts things back asks this first: Argo runs it again as exit handler.
        """
        state = self.target.load_state()
        return state is not None and self._is_mine(state)

    def _is_mine(self, state: BlockState) -> bool:
        return (state.campaign, state.block) == (self.campaign, self.block_id)

    def update(self, **changes: object) -> BlockState:
        """Change the state on the target and return it."""
        state = self.state().model_copy(update=changes)
        self.target.save_state(state)
        return state

    def note_failure(self, stage: str, error: BaseException) -> None:
        """Keep a stage's failure for the block's row."""
        state = self.target.load_state()
        if state and self._is_mine(state):
            known = isinstance(error, CnibenchError)
            message = str(error) if known else f"{type(error).__name__} {error}".strip()
            failure = Failure(stage=stage, message=message)
            self.update(failures=(*state.failures, failure))

    def forget_failure(self, stage: str) -> None:
        """A stage that was tried again succeeded: it is not why the block fails."""
        state = self.target.load_state()
        if state and self._is_mine(state) and any(f.stage == stage for f in state.failures):
            self.update(failures=tuple(f for f in state.failures if f.stage != stage))


def open_context(campaign: str, block: str, store: str, target: TargetSpec) -> Context:
    """Attach to the target of a block."""
    return Context(campaign, block, open_target(target), store)
