"""What all catalog models share: strictness and the rules for names."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Location = Sequence[int | str]
"""Way from a document to one of its parts."""


class FieldError(ValueError):
    """What a model refuses about one of its fields; ``location`` leads to it from the model."""

    def __init__(self, message: str, *location: int | str) -> None:
        super().__init__(message)
        self.location = location


class Model(BaseModel):
    """A document that refuses unknown fields and cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"),
]
"""Kebab-case, 1 to 40 characters: safe as file name, Kubernetes label value and Argo name."""

CELL_ID_LENGTH_MAX = 63
"""Argo refuses display names outside ``[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]``."""
