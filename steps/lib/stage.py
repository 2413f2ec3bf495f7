"""What makes a function a stage: its input, its image, its exit status, its failure on record."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from hera.workflows import Input, Output, Parameter, RetryStrategy, script

from steps.lib.catalog import Job
from steps.lib.context import Context, open_context
from steps.lib.errors import CnibenchError, TransientError

STEP_IMAGE = "cnibench-step:0.1.0"
"""Image of every stage's pod; an overlay replaces it by a digest."""

LOG = logging.getLogger("cnibench")


class CampaignInput(Input):
    """The job, and where results go."""

    job: Annotated[
        Job, Parameter(name="job", description="Campaign with all catalog entries it names, JSON")
    ]
    store: Annotated[
        str, Parameter(name="store", description="Where results go: a directory or s3://bucket")
    ]


class BlockInput(CampaignInput):
    """What every stage of a block is given: also which block."""

    block: Annotated[
        str, Parameter(name="block", description="Block to run: plugin.profile.r<repeat>")
    ]

    def open(self) -> Context:
        """The block, its target and its store."""
        return open_context(self.job, self.block, self.store)


InputT = TypeVar("InputT", bound=Input)
OutputT = TypeVar("OutputT", bound=Output)


def stage(
    *, deadline_s: int, retries: int = 0
) -> Callable[[Callable[[InputT], OutputT]], Callable[[InputT], OutputT]]:
    """Make a Hera runner function of a stage.

    In a pod a known error ends the process with the error's own exit status, since that is what
    Argo's retry expression sees; called from Python it is raised as it is. Either way it is noted
    on the target first, so that ``collect`` can say why the block failed.

    Args:
        deadline_s: Limit of the pod, in seconds.
        retries: How often a transient error is tried again.
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
            try:
                output = function(stage_input)
                _note(function.__name__, stage_input, None)
                return output
            except BaseException as error:
                _note(function.__name__, stage_input, error)
                if "ARGO_NODE_ID" not in os.environ or not isinstance(error, CnibenchError):
                    raise
                LOG.error("stage=%s status=%s %s", function.__name__, error.exit_code, error)
                raise SystemExit(error.exit_code) from error

        run.retries = retries  # type: ignore[attr-defined]
        decorator: Any = script(
            constructor="runner",
            image=STEP_IMAGE,
            active_deadline_seconds=deadline_s,
            retry_strategy=retry if retries else None,
        )
        decorated: Callable[[InputT], OutputT] = decorator(run)
        return decorated

    return decorate


def retries_of(stage: Callable[..., Any]) -> int:
    """How often a stage is tried again after a transient error."""
    # Hera's decorator, like any good one, keeps a function's own attributes.
    return int(stage.retries)  # type: ignore[attr-defined]


def _note(name: str, stage_input: Input, error: BaseException | None) -> None:
    """Note any error, an interrupt too: the block must not pass for complete.

    None forgets an earlier error of the same stage, which a further try has cured.
    """
    if not isinstance(stage_input, BlockInput):
        return
    stage_name = " ".join(filter(None, (name, getattr(stage_input, "cell", None))))
    try:
        context = stage_input.open()
        if error is None:
            context.forget_failure(stage_name)
        else:
            context.note_failure(stage_name, error)
    except CnibenchError as second:
        LOG.error("stage=%s its failure could not be noted on the target: %s", name, second)
