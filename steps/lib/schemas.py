"""JSON Schemas of the files people write, for editors: completion, help and errors while typing.

``python -m steps.lib.schemas`` writes them, ``--check`` only compares.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from steps.lib import generated
from steps.lib.catalog import CATALOG
from steps.lib.models import (
    Campaign,
    CpuComponents,
    Matrix,
    Model,
    Plugin,
    Profile,
    TargetSpec,
)
from steps.lib.questions import Question

SCHEMAS = CATALOG / "schemas"
COMMAND = "python -m steps.lib.schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

EXTENDABLE: tuple[type[Model], ...] = (Plugin, Profile, Matrix, TargetSpec)
MODELS: tuple[type[Model], ...] = (*EXTENDABLE, Campaign, CpuComponents, Question)

EXTENDS = {
    "type": "string",
    "description": "Name of a file beside this one; its fields hold where this file has none",
}


class _Generator(GenerateJsonSchema):
    """Leaves out what tells an editor nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a field's title would be its name again."""
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Without OpenAPI's keyword, which no JSON Schema validator knows."""
        union = super().tagged_union_schema(schema)
        union.pop("discriminator", None)
        return union


def schemas() -> dict[str, str]:
    """Every schema by file name."""
    return {
        f"{model.__name__.lower()}.schema.json": json.dumps(schema(model), indent=2) + "\n"
        for model in MODELS
    }


def schema(model: type[Model]) -> dict[str, Any]:
    """The schema of the files that are read as ``model``."""
    whole = model.model_json_schema(schema_generator=_Generator)
    if model not in EXTENDABLE:
        return {"$schema": DIALECT, **whole}
    return {"$schema": DIALECT, **_extendable(model.__name__, whole)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or compare them; the exit status."""
    return generated.main(schemas(), SCHEMAS, COMMAND, arguments)


def _extendable(name: str, whole: dict[str, Any]) -> dict[str, Any]:
    """A file that ``extends`` another needs no field but its name, at any depth."""
    definitions = whole.pop("$defs", {}) | {name: whole}
    definitions |= {_child(n): _partial(of) for n, of in definitions.items()}
    child = definitions[_child(name)]
    child["properties"] = {"extends": EXTENDS} | child["properties"]
    child["required"] = ["extends", "name"]
    choice = {
        "if": {"required": ["extends"]},
        "then": {"$ref": _reference(_child(name))},
        "else": {"$ref": _reference(name)},
    }
    return {"$defs": _used(choice, definitions), "type": "object"} | choice


def _partial(node: Any) -> Any:
    """The same without required fields. Entries of lists stay whole, since lists replace lists."""
    if isinstance(node, list):
        return [_partial(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    partial: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            partial[key] = {name: _partial(inner) for name, inner in value.items()}
        elif key == "$ref":
            partial[key] = _reference(_child(value.rpartition("/")[2]))
        elif key == "oneOf":
            partial["anyOf"] = _partial(value)
        elif key in ("additionalProperties", "anyOf"):
            partial[key] = _partial(value)
        elif key != "required":
            partial[key] = value
    return partial


def _used(start: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that something refers to."""
    used: set[str] = set()
    found = _names(start)
    while found - used:
        used |= found
        found = {inner for name in used for inner in _names(definitions[name])}
    return {name: definitions[name] for name in sorted(used)}


def _names(node: Any) -> set[str]:
    return set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(node)))


def _child(name: str) -> str:
    return f"Child{name}"


def _reference(name: str) -> str:
    return f"#/$defs/{name}"


if __name__ == "__main__":
    raise SystemExit(main())
