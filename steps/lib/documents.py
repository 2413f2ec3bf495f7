"""Reading YAML documents, with errors that name file, line, field and what to write instead."""

import copy
import difflib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from steps.lib import explain
from steps.lib.errors import InputError
from steps.lib.models import Model
from steps.lib.models.base import Location

ModelT = TypeVar("ModelT", bound=Model)


def read_yaml(path: Path) -> CommentedMap:
    """Load one YAML mapping, with line numbers kept.

    Raises:
        InputError: the file is missing, unreadable, not YAML, or not a mapping.
    """
    text = _read_text(path)
    try:
        document = copy.deepcopy(_parsed(text))
    except YAMLError as error:
        line, problem = _problem(error, text)
        raise InputError(f"{path}:{line}: is not valid YAML: {problem}") from error
    if document is None:
        raise InputError(f"{path}:1: is empty; write fields, one a line, as `name: value`")
    if not isinstance(document, CommentedMap):
        raise InputError(
            f"{path}:1: expected a mapping of fields, found {explain.kind_of(document)}; "
            "write fields, one a line, as `name: value`"
        )
    return document


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """A document that is not to be changed; parsing takes five times as long as a copy of it."""
    return YAML(typ="rt").load(text)


def validate(model: type[ModelT], document: CommentedMap, path: Path) -> ModelT:
    """Make the model from a document, or say what to correct and where.

    The document goes through JSON, since only there is pydantic strict about scalars (``yes`` is
    no number) and yet takes a list for a tuple.

    Raises:
        InputError: one line per wrong field.
    """
    try:
        return model.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        problems = explain.explain(model, error, document)
        raise InputError(
            "\n".join(f"{path}:{line_of(document, where)}: {text}" for where, text in problems)
        ) from None


def suggest(wrong: str, known: Sequence[str]) -> str:
    """``did you mean 'x'?``, or what there is, for a name that is not known."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(known))}"


def line_of(document: Any, location: Location) -> int:
    """Line (from 1) of the deepest part of ``location`` that stands in the document."""
    node, line = document, 1
    for step in location:
        if isinstance(node, CommentedMap) and step in (node.lc.data or {}):
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and step in (node.lc.data or {}):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}:{line}: is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from error


def _problem(error: YAMLError, text: str) -> tuple[int, str]:
    """Line of what the parser met, and what to do about it."""
    if isinstance(error, ReaderError):
        line = text[: error.position].count("\n") + 1
        return line, f"character {text[error.position]!r} is not allowed; take it away"
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return 1, str(error)
    line, problem = error.problem_mark.line + 1, str(error.problem)
    if "'\\t'" in problem:
        return line, "a tab stands where only blanks may; indent with blanks"
    if "duplicate key" in problem:
        return line, f"{problem}; keep one of them"
    if "another document" in problem:
        return line, "a second document begins (`---`); write one document per file"
    return line, f"{problem}; look at this line and at the one before it"
