"""The pipeline, declared once: which stages a block has, what follows what, what always runs.

The local executor (``steps/lib/executor.py``) is a loop over ``BLOCK``; the Argo templates
(``workflows/block.py``) are rendered from it. An argument of a stage is found by its name: in the
stage's own fan-out item, else among the outputs of an earlier stage, else among the parameters of
the block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from steps.collect import collect
from steps.install_plugin import install_plugin
from steps.plan_cells import plan_cells
from steps.preflight import preflight
from steps.remove_plugin import remove_plugin
from steps.restore_nodes import restore_nodes
from steps.run_cells import run_cells
from steps.tune_nodes import tune_nodes
from steps.verify_plugin import verify_plugin


@dataclass(frozen=True)
class FanOut:
    """Run the stage once per element of a list that an earlier stage put out, in its order."""

    output: str
    item: str


@dataclass(frozen=True)
class Stage:
    """One stage of a block.

    Attributes:
        run: The Hera runner function.
        always: It runs although an earlier stage failed: putting things back.
        for_each: It runs once per item; a failed item does not stop the others.
        only_if: Output of an earlier stage; where it is false there is nothing to do for this one.
    """

    run: Callable[..., Any]
    always: bool = False
    for_each: FanOut | None = None
    only_if: str | None = None

    @property
    def name(self) -> str:
        """Name in logs, in Argo and in errors: the function's, in kebab-case."""
        return self.run.__name__.replace("_", "-")


BLOCK = (
    Stage(preflight),
    Stage(install_plugin),
    Stage(verify_plugin),
    Stage(tune_nodes, only_if="tunes"),
    Stage(plan_cells),
    Stage(run_cells, for_each=FanOut(output="groups", item="group")),
    Stage(restore_nodes, always=True, only_if="tunes"),
    Stage(remove_plugin, always=True),
    Stage(collect, always=True),
)
"""In order; each stage follows the one before it."""


def stage_input(stage: Stage, known: dict[str, Any]) -> Any:
    """The stage's ``Input``, its fields picked by name from what is known."""
    model = input_model(stage)
    return model(**{name: known[name] for name in model.model_fields})


def input_model(stage: Stage) -> Any:
    """The type of the stage's only argument."""
    return next(iter(get_type_hints(stage.run).values()))


def output_model(stage: Stage) -> Any:
    """The type of what the stage puts out."""
    return get_type_hints(stage.run)["return"]
