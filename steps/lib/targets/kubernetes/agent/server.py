"""Requests and answers: one JSON document a line, ``{"id", "call", "arguments"}``.

An answer is ``{"id", "result"}`` or ``{"id", "error": {"type", "message"}}``. Whatever is asked,
and however badly, is answered: a crash would look like a node that has died.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import IO, Any

Call = Callable[..., Any]

OWN_FAULT = "CnibenchError"


def serve(requests: IO[bytes], answers: IO[bytes], calls: Mapping[str, Call]) -> None:
    """Answer every request, in order, until there are no more."""
    for line in requests:
        if line.strip():
            answers.write(json.dumps(answer(line, calls)).encode() + b"\n")
            answers.flush()


def answer(line: bytes, calls: Mapping[str, Call]) -> dict[str, Any]:
    """Carry out one request."""
    try:
        request = json.loads(line)
        number, name, arguments = request["id"], request["call"], request.get("arguments", {})
        function = calls.get(name)
    except Exception as error:  # Nested too deeply, for one.
        return _failed(None, OWN_FAULT, f"not a request: {type(error).__name__}: {error}")
    if function is None:
        return _failed(number, OWN_FAULT, f"no such call: {name}")
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        return _failed(number, OWN_FAULT, f"{name}: {error}")
    try:
        return {"id": number, "result": function(**arguments)}
    except Exception as error:
        kind = type(error).__name__
        # Of the error tree only the class is told; anything else is described as well.
        known = kind.endswith("Error") and type(error).__module__ == "steps.lib.errors"
        return _failed(number, kind if known else OWN_FAULT, _words(error, known))


def _words(error: Exception, known: bool) -> str:
    return str(error) if known else f"{type(error).__name__}: {error}"


def _failed(number: Any, kind: str, message: str) -> dict[str, Any]:
    return {"id": number, "error": {"type": kind, "message": message}}
