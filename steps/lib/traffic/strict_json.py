"""Reading JSON with suspicion: what Python's reader lets pass, and no tool writes, is an error."""

import json
from typing import Any

INTEGER_DIGITS = 20
"""The largest number that a tool counts to, 2^64 - 1, has so many."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. A key that occurs twice would silently hide its first value.

    With one value it is let be: iperf3 3.18's UDP server says ``target_bitrate`` twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs) and any(found[key] != value for key, value in pairs):
        raise ValueError("an object has the same key twice, with two values")
    return found


def _integer(text: str) -> int:
    """Python reads whole numbers of any length, also those that no float can hold."""
    if len(text) > INTEGER_DIGITS:
        raise ValueError(f"{text[:20]}... is too large")
    return int(text)


def _constant(name: str) -> float:
    """JSON has no NaN or Infinity, Python's reader does."""
    raise ValueError(f"{name} is not a number")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
"""Raises ValueError, or RecursionError, where the text is not JSON."""
