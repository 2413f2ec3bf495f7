"""Reading YAML documents, with errors that name file, line, field and what to write instead."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLStreamError

from steps.lib.errors import InputError
from steps.lib.models import Model

ModelT = TypeVar("ModelT", bound=Model)
Location = Sequence[int | str]


def read_yaml(path: Path) -> CommentedMap:
    """Load one YAML mapping, with line numbers kept.

    Raises:
        InputError: the file is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: is not valid YAML: {error.problem}") from error
    except YAMLStreamError as error:
        raise InputError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(document, CommentedMap):
        raise InputError(f"{path}:1: expected a mapping of fields, found {kind_of(document)}")
    return document


def validate(model: type[ModelT], document: CommentedMap, path: Path) -> ModelT:
    """Make the model from a document, or say what to correct and where.

    Raises:
        InputError: one line per wrong field.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        lines = [_explain(model, detail, document, path) for detail in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def suggest(wrong: str, known: Sequence[str], list_all: Callable[[], str] | None = None) -> str:
    """``did you mean 'x'?``, or what there is, for a name that is not known."""
    close = difflib.get_close_matches(wrong, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return list_all() if list_all else f"there are: {', '.join(sorted(known))}"


def kind_of(value: object) -> str:
    """What a person would call the value: a list, a number, nothing, ..."""
    names = {list: "a list", dict: "a mapping", str: "a text", int: "a number", float: "a number"}
    return next((n for t, n in names.items() if isinstance(value, t)), "nothing")


def _explain(model: type[Model], detail: ErrorDetails, document: CommentedMap, path: Path) -> str:
    location = [part for part in detail["loc"] if _exists_or_last(document, detail["loc"], part)]
    field = ".".join(str(part) for part in location) or "document"
    where = f"{path}:{line_of(document, location)}: {field}"
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, detail["loc"][:-1])
        return f"{where}: unknown field; {suggest(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return f"{where}: is missing; add it{_description(model, detail['loc'])}"
    message = detail["msg"].removeprefix("Value error, ")
    found = detail["input"]
    if isinstance(found, (dict, list)):
        return f"{where}: {message}"
    return f"{where}: {message}; found {found!r}{_description(model, detail['loc'])}"


def _exists_or_last(document: Any, location: Location, part: int | str) -> bool:
    """Drop pydantic's names of union members, which stand in no file."""
    node = document
    for step in location:
        last = step is location[-1]
        try:
            node = node[step]
            inside = True
        except (KeyError, IndexError, TypeError):
            inside = last
        if step is part:
            return inside
    return False


def line_of(document: Any, location: Location) -> int:
    """Line (from 1) of the deepest part of ``location`` that stands in the document."""
    node, line = document, 1
    for step in location:
        if isinstance(node, CommentedMap) and step in node and step in node.lc.data:
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line


def _models_at(model: type[Model], location: Location) -> list[type[Model]]:
    """Every model that can stand at ``location``, looking through unions, tuples and mappings."""
    found: list[type[Model]] = [model]
    for step in location:
        inner: list[type[Model]] = []
        for candidate in found:
            info = candidate.model_fields.get(str(step))
            inner += _models_in(info.annotation) if info else []
        found = inner or found
    return found


def _models_in(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [m for argument in arguments for m in _models_in(argument)]


def _fields_at(model: type[Model], location: Location) -> list[str]:
    return sorted({name for m in _models_at(model, location) for name in m.model_fields})


def _description(model: type[Model], location: Location) -> str:
    if not location:
        return ""
    for candidate in _models_at(model, location[:-1]):
        info = candidate.model_fields.get(str(location[-1]))
        if info and info.description:
            return f" ({info.description})"
    return ""
