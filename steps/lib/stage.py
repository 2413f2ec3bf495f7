"""What makes a function a stage: its input, its image, its exit status, its failure on record."""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, TypeVar

from hera.workflows import Artifact, Input, Output, Parameter, RetryStrategy, script

from steps.lib import pod
from steps.lib.catalog import Catalog
from steps.lib.context import Context, open_context
from steps.lib.errors import CnibenchError, TransientError
from steps.lib.models import TargetSpec
from steps.lib.targets import open_target

STEP_IMAGE = "cnibench-step:0.1.0"
"""Image of every stage's pod; an overlay replaces it by a digest."""

LOG = logging.getLogger("cnibench")


CampaignParameter = Annotated[
    str, Parameter(name="campaign", description="Name of a campaign that the store knows")
]
StoreParameter = Annotated[
    str, Parameter(name="store", description="Where results go: s3://bucket or s3://bucket/name")
]


class TargetInput(Input):
    """A target that the catalog knows, as a form names it."""

    target: Annotated[
        str,
        Parameter(name="target", description="Cluster to measure; its network is **replaced**"),
    ]

    def spec(self) -> TargetSpec:
        """The target."""
        return Catalog().targets.load(self.target)


class BlockInput(Input):
    """What every stage of a block is given. Names, no documents: Argo keeps them for each node."""

    campaign: CampaignParameter
    block: Annotated[
        str, Parameter(name="block", description="Block to run: plugin.profile.r<repeat>")
    ]
    store: StoreParameter
    target: Annotated[
        TargetSpec, Parameter(name="target", description="Where the block runs, JSON")
    ]

    def spec(self) -> TargetSpec:
        """The target."""
        return self.target

    def open(self) -> Context:
        """The block, its target and its store."""
        return open_context(self.campaign, self.block, self.store, self.target)


PAUSES_S = (10.0, 120.0)
"""Before a first and a second further try: for a moment's trouble, and longer than a server takes
to start."""

InputT = TypeVar("InputT", bound=Input)
OutputT = TypeVar("OutputT", bound=Output)


def stage(
    *, deadline_s: int, retries: int = 0, artifacts: Sequence[Artifact] = ()
) -> Callable[[Callable[[InputT], OutputT]], Callable[[InputT], OutputT]]:
    """Make a Hera runner function of a stage.

    In a pod a known error ends the process with the error's own exit status, since that is what
    Argo's retry expression sees, and its message becomes the node's; called from Python it is
    raised as it is. Either way it is noted on the target first, so that ``collect`` can say why
    the block failed. A pod holds the target while it runs, and leaves it held for the next one.

    Args:
        deadline_s: Limit of its work, in seconds.
        retries: How often a transient error is tried again.
        artifacts: Files that it leaves to Argo, beside what its ``Output`` says.
    """
    retry = RetryStrategy(
        limit=str(retries),
        retry_policy="Always",
        expression=(
            "lastRetry.status == 'Error' || "
            f"asInt(lastRetry.exitCode) == {TransientError.exit_code}"
        ),
    )

    def decorate(function: Callable[[InputT], OutputT]) -> Callable[[InputT], OutputT]:
        @functools.wraps(function)
        def run(*positional: InputT, **named: InputT) -> OutputT:
            # Hera's runner passes it by the name it has in the function.
            (stage_input,) = (*positional, *named.values())
            pod.configure_logging()
            try:
                with _held(stage_input):
                    return _noted(function, stage_input)
            except CnibenchError as error:
                if not pod.is_one():
                    raise
                LOG.error("stage=%s status=%s %s", function.__name__, error.exit_code, error)
                pod.say(str(error))
                if isinstance(error, TransientError):
                    pause()
                raise SystemExit(error.exit_code) from error

        run.retries = retries  # type: ignore[attr-defined]
        decorator: Any = script(
            constructor="runner",
            image=STEP_IMAGE,
            # A pod that pauses is not ended by its deadline, or Argo would not try it again.
            active_deadline_seconds=deadline_s + (int(max(PAUSES_S)) if retries else 0),
            retry_strategy=retry if retries else None,
            outputs=list(artifacts),
        )
        decorated: Callable[[InputT], OutputT] = decorator(run)
        return decorated

    return decorate


def pause() -> None:
    """Wait in the pod for what may pass, when Argo tries it again.

    Were Argo to wait (``backoff``), it would begin the next item of a fan-out meanwhile, and the
    cells would not be measured in their order.
    """
    retries = pod.retries()
    if retries is not None and retries < len(PAUSES_S):
        time.sleep(PAUSES_S[retries])


def retries_of(stage: Callable[..., Any]) -> int:
    """How often a stage is tried again after a transient error."""
    # Hera's decorator, like any good one, keeps a function's own attributes.
    return int(stage.retries)  # type: ignore[attr-defined]


def _held(stage_input: Input) -> AbstractContextManager[None]:
    """The target, held in the name of the workflow; outside of Argo whoever calls holds it."""
    holder = pod.holder()
    if holder is None or not isinstance(stage_input, TargetInput | BlockInput):
        return nullcontext()
    return open_target(stage_input.spec()).lock(holder)


def _noted(function: Callable[[InputT], OutputT], stage_input: InputT) -> OutputT:
    """Call a stage; what goes wrong is noted on the target."""
    try:
        output = function(stage_input)
    except BaseException as error:
        _note(function.__name__, stage_input, error)
        raise
    _note(function.__name__, stage_input, None)
    return output


def _note(name: str, stage_input: Input, error: BaseException | None) -> None:
    """Note any error, an interrupt too: the block must not pass for complete.

    None forgets an earlier error of the same stage, which a further try has cured.
    """
    if not isinstance(stage_input, BlockInput):
        return
    group = getattr(stage_input, "group", None)
    stage_name = f"{name} {group}" if group else name
    try:
        context = stage_input.open()
        if error is None:
            context.forget_failure(stage_name)
        else:
            context.note_failure(stage_name, error)
    except CnibenchError as second:
        LOG.error("stage=%s its failure could not be noted on the target: %s", name, second)
