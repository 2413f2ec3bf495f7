"""The list of known ways to a wrong number, and what finds each: data beside this file."""

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import model_validator

from steps.lib.documents import read_yaml, validate
from steps.lib.gates import GATES
from steps.lib.models.base import FieldError, Model

FILE = Path(__file__).with_suffix(".yaml")


class Rule(Model):
    """One rule of the method: the gates that prove it, and what else does or why there is none."""

    rule: str
    gates: tuple[str, ...] = ()
    otherwise: str | None = None

    @model_validator(mode="after")
    def _is_covered(self) -> Self:
        unknown = sorted(set(self.gates) - {gate.name for gate in GATES})
        if unknown:
            raise FieldError(f"there is no gate {', '.join(unknown)}", "gates")
        if not self.gates and self.otherwise is None:
            raise FieldError("is missing; name `gates`, or say why there is none", "otherwise")
        return self


class Section(Model):
    """Rules that belong together."""

    title: str
    rows: tuple[Rule, ...]


class Offence(Model):
    """One way to a wrong number, the gate that finds it, and the test that commits it."""

    offence: str
    gate: str | None = None
    test: str | None = None
    otherwise: str | None = None

    @model_validator(mode="after")
    def _is_found_or_explained(self) -> Self:
        if self.gate is not None and self.gate not in {gate.name for gate in GATES}:
            raise FieldError(f"there is no gate {self.gate}", "gate")
        if self.gate is not None and self.test is None:
            raise FieldError("is missing; name the test that commits the offence", "test")
        if self.gate is None and self.otherwise is None:
            raise FieldError("is missing; name a `gate`, or say why there is none", "otherwise")
        return self


class Pitfalls(Model):
    """The whole list."""

    sections: tuple[Section, ...]
    offences: tuple[Offence, ...]


@cache
def pitfalls() -> Pitfalls:
    """Read the list.

    Raises:
        InputError: it names a gate that does not exist, or leaves a row without an answer.
    """
    return validate(Pitfalls, read_yaml(FILE), FILE)
