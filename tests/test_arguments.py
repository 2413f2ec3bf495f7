from typing import Any

import pytest

from steps.lib.stage import BlockInput
from steps.pipeline import FanOut, Stage
from steps.plan_cells import plan_cells
from steps.run_cells import run_cells
from tests.argo import Document, argument_problems, parameters, rendered, tasks, templates
from workflows import parts


@pytest.mark.parametrize("name", ["block.yaml", "campaign.yaml", "plugin.yaml"])
def test_every_task_gives_its_template_what_it_asks_for(name: str) -> None:
    assert argument_problems(rendered(name)) == []


def without_an_argument(document: Document) -> str:
    del tasks(templates(document)["block"])["run-cells"]["arguments"]["parameters"][0]
    return "run-cells: missing argument campaign"


def with_an_unknown_argument(document: Document) -> str:
    arguments = tasks(templates(document)["block"])["collect"]["arguments"]["parameters"]
    arguments.append({"name": "blok", "value": "x"})
    return "collect: unknown argument blok"


def with_a_value_outside_of_the_enum(document: Document) -> str:
    parameters(templates(document)["collect"], "inputs")["store"]["enum"] = ["a", "b"]
    task = tasks(templates(document)["block"])["collect"]
    parameters(task, "arguments")["store"]["value"] = "c"
    return "collect: store: c is not one of a, b"


@pytest.mark.parametrize(
    "breaks", [without_an_argument, with_an_unknown_argument, with_a_value_outside_of_the_enum]
)
def test_a_broken_argument_is_found(breaks: Any) -> None:
    document = rendered("block.yaml")
    assert breaks(document) in argument_problems(document)


def test_an_argument_is_the_item_else_an_output_else_a_parameter_of_the_block() -> None:
    block = tasks(templates(rendered("block.yaml"))["block"])
    given = {n: p["value"] for n, p in parameters(block["run-cells"], "arguments").items()}
    assert given == {
        "campaign": "{{workflow.parameters.campaign}}",
        "block": "{{workflow.parameters.block}}",
        "store": "{{workflow.parameters.store}}",
        "target": "{{workflow.parameters.target}}",
        "group": "{{item}}",
    }
    assert block["run-cells"]["withParam"] == "{{tasks.plan-cells.outputs.parameters.groups}}"


def test_a_stage_that_asks_for_what_nothing_gives_is_refused() -> None:
    known = {name: name for name in BlockInput.model_fields}
    with pytest.raises(LookupError, match="stage run-cells needs group, which is neither"):
        parts.task(Stage(run_cells), known)
    with pytest.raises(LookupError, match="stage plan-cells needs store"):
        parts.task(Stage(plan_cells), {"campaign": "", "block": "", "target": ""})


def test_a_fan_out_over_an_unknown_output_is_refused() -> None:
    with pytest.raises(LookupError):
        parts.task(
            Stage(run_cells, for_each=FanOut("grups", "group")), {"campaign": "", "store": ""}
        )
