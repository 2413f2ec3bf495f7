"""A campaign: plugins x profiles x matrix x repeats on one target."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError, Model, Name
from steps.lib.models.plugin import TargetKind


class TargetSpec(Model):
    """Where a campaign runs."""

    kind: TargetKind
    name: Name = Field(default="local", max_length=8, description="One campaign at a time per name")
    tools: Literal["box", "host"] = Field(
        default="box", description="The pinned tool box, or the machine's own programs"
    )
    underlay_mtu: int = Field(default=1500, ge=1280, le=65535, description="MTU between the nodes")


class Campaign(Model):
    """What one wants to know, as a file in Git.

    The name is the identity of the results: running the same campaign again does only what is
    missing, and a changed campaign under an old name is refused.
    """

    name: Name
    title: str
    target: TargetSpec
    plugins: tuple[Name, ...] = Field(min_length=1, description="Names of files in catalog/plugins")
    profiles: tuple[Name, ...] = Field(min_length=1, description="... in catalog/profiles")
    matrix: Name = Field(description="... in catalog/matrices")
    repeats: int = Field(ge=1, le=100, description="Independent blocks of each plugin and profile")
    seed: int = Field(ge=0, description="Order of blocks and cells")

    @model_validator(mode="after")
    def _candidates_are_distinct(self) -> Self:
        for field in ("plugins", "profiles"):
            names = getattr(self, field)
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise FieldError(
                        f"{name!r} stands twice; keep one, and for more runs raise `repeats`",
                        field,
                        index,
                    )
        return self
