"""What pydantic found wrong with a document, in the words of the person who wrote it."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from steps.lib.models import DeviceRef, Model, Name
from steps.lib.models.base import FieldError, Location

Problem = tuple[Location, str]
"""Where in the document, and ``<field>: <what is wrong>; <what to write>``."""

EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of fields",
    "model": "a mapping of fields",
}
"""By the first word of pydantic's name for the error."""

BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of}",
}


def pattern_of(annotation: Any) -> str:
    """The pattern of a constrained text type."""
    return str(get_args(annotation)[1].pattern)


LENGTHS = {
    "too_short": "needs {min_length} or more entries",
    "too_long": "takes at most {max_length} entries",
    "string_too_short": "needs {min_length} or more characters",
    "string_too_long": "takes at most {max_length} characters",
}

PATTERNS = {
    pattern_of(Name): "1 to 40 lower-case letters, digits and hyphens, no hyphen at an end",
    pattern_of(DeviceRef): "`<whose>:<device>`, for example `client-node:@uplink`",
}
"""What the patterns of more than one field ask for, in words."""


def explain(model: type[Model], error: ValidationError, document: Any) -> list[Problem]:
    """Every problem once, in the order of the model's fields."""
    details = error.errors()
    wrong = [tuple(d["loc"]) for d in details]
    # Pydantic drops a wrong entry and then counts too few: that is no second mistake.
    details = [
        d
        for d in details
        if d["type"] != "too_short" or not any(d["loc"] == w[: len(d["loc"])] != w for w in wrong)
    ]
    return list(dict.fromkeys(_problem(model, d, document) for d in details))


def kind_of(value: object) -> str:
    """What a person would call the value: a list, a number, nothing, ..."""
    names: dict[type, str] = {
        bool: "true or false",
        list: "a list",
        dict: "a mapping",
        str: "a text",
        int: "a number",
        float: "a number",
    }
    return next((n for t, n in names.items() if isinstance(value, t)), "nothing")


def _problem(model: type[Model], detail: ErrorDetails, document: Any) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    cause = context.get("error")
    more = cause.location if isinstance(cause, FieldError) else ()
    # Looked up as one: the name of a union's member may stand before the last step only.
    where = _in_document(document, (*detail["loc"], *more))
    if kind.startswith("union_tag"):
        where = (*where, context["discriminator"].strip("'"))
    field = ".".join(str(part) for part in where) or "document"
    return where, f"{field}: {_wrong(model, detail, where)}"


def _wrong(model: type[Model], detail: ErrorDetails, where: Location) -> str:
    kind, context, found = detail["type"], detail.get("ctx", {}), detail["input"]
    about = _description(model, detail["loc"])
    if kind == "extra_forbidden":
        return f"unknown field; {_did_you_mean(str(where[-1]), _fields_at(model, detail['loc']))}"
    if kind == "missing":
        return f"is missing; add it{about}"
    if kind == "union_tag_not_found":
        tags = [tag for m in _models_at(model, detail["loc"]) for tag in _tags(m)]
        return f"is missing; write one of: {', '.join(map(str, tags))}"
    if kind == "union_tag_invalid":
        return _no_choice(context["tag"], context["expected_tags"])
    if kind in ("literal_error", "enum"):
        return _no_choice(found, context["expected"]) + about
    if kind in BOUNDS:
        return f"must be {BOUNDS[kind].format(**context)}, found {_shown(found)}{about}"
    if kind in LENGTHS:
        count = context.get("actual_length", len(found) if found else 0)
        return f"{LENGTHS[kind].format(**context)}, has {count}{about}"
    if kind == "string_pattern_mismatch":
        wanted = PATTERNS.get(context["pattern"], f"a text that matches {context['pattern']}")
        return f"expected {wanted}, found {_shown(found)}{about}"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return _wrong_type(model, detail) + about


def _wrong_type(model: type[Model], detail: ErrorDetails) -> str:
    found = detail["input"]
    expected = EXPECTED.get(detail["type"].split("_")[0])
    if expected is None:
        return f"{detail['msg']}, found {_shown(found)}"
    if found is None:
        return f"expected {expected}, found nothing; write a value, or leave the line out"
    if isinstance(found, (dict, list)):
        return f"expected {expected}, found {kind_of(found)}"
    return f"expected {expected}, found {_shown(found)}{_hint(model, detail, expected)}"


def _hint(model: type[Model], detail: ErrorDetails, expected: str) -> str:
    found = detail["input"]
    if expected == "a text":
        return f'; write "{found}"'
    if expected == "a list":
        return f"; write [{found}]"
    if expected.endswith("number") and str(found).isdigit():
        return f"; write {found} without quotes"
    if detail["type"] == "model_type":
        fields = _fields_at(model, (*detail["loc"], ""))
        return f"; its fields are: {', '.join(fields)}"
    return ""


def _shown(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _no_choice(found: object, expected: str) -> str:
    choices = re.findall(r"'([^']*)'", expected) or [expected]
    return f"{_shown(found)} is not possible; {_did_you_mean(str(found), choices)}"


def _did_you_mean(wrong: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"write one of: {', '.join(known)}"


def _in_document(document: Any, location: Location) -> Location:
    """The location without what stands in no file: names of union members, marks of keys."""
    return tuple(_steps(document, [part for part in location if part != "[key]"]))


def _steps(node: Any, location: Location) -> Iterator[int | str]:
    for index, step in enumerate(location):
        if _has(node, step):
            yield step
            node = node[step]
        elif index == len(location) - 1 and isinstance(node, Mapping):
            yield step  # A field that is missing.


def _has(node: Any, step: int | str) -> bool:
    if isinstance(node, list):
        return isinstance(step, int) and step < len(node)
    return isinstance(node, Mapping) and step in node


def _models_at(model: type[Model], location: Location) -> list[type[Model]]:
    """Every model that can stand at ``location``, looking through unions, tuples and mappings."""
    found: list[type[Model]] = [model]
    for step in location:
        # The name of a union member that is a model: only that one.
        named = [m for m in found if step in _tags(m)]
        inner = [m for m in found if str(step) in m.model_fields]
        if inner:
            fields = [m.model_fields[str(step)].annotation for m in inner]
            found = [m for annotation in fields for m in _models_in(annotation)]
        elif named:
            found = named
    return found


def _tags(model: type[Model]) -> tuple[object, ...]:
    """Values of a model's discriminator."""
    fields = (model.model_fields.get(name) for name in ("kind", "mechanism"))
    return tuple(tag for f in fields if f for tag in getattr(f.annotation, "__args__", ()))


def _models_in(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [m for argument in arguments for m in _models_in(argument)]


def _fields_at(model: type[Model], location: Location) -> list[str]:
    return sorted({name for m in _models_at(model, location[:-1]) for name in m.model_fields})


def _description(model: type[Model], location: Location) -> str:
    """The description of the field, or of the list that it is an entry of."""
    names = [part for part in location if part != "[key]"]
    while names and isinstance(names[-1], int):
        names = names[:-1]
    if not names:
        return ""
    for candidate in _models_at(model, names[:-1]):
        info = candidate.model_fields.get(str(names[-1]))
        if info and info.description:
            return f" ({info.description})"
    return ""
