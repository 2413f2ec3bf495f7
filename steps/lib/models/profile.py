"""A tuning profile: settings of nodes, each with its scope, so that it can be proven and undone."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError, Model, Name


class Sysctl(Model):
    """One kernel setting below ``/proc/sys``.

    ``scope: node`` settings belong to the whole kernel, ``scope: netns`` settings to each network
    namespace (there: the node's own). Whether pods see a netns setting is the kernel's business:
    a new namespace copies only a few of them.
    """

    kind: Literal["sysctl"] = "sysctl"
    name: str = Field(pattern=r"^[a-z0-9_]+(\.[A-Za-z0-9_*/-]+)+$", description="Dotted name")
    value: str = Field(min_length=1, description="As read back; fields are separated by blanks")
    scope: Literal["node", "netns"]
    note: str | None = None


class Profile(Model):
    """A named set of settings. The profile without entries is the untuned node."""

    name: Name
    title: str
    description: str
    source: str | None = Field(default=None, description="Paper, code or guide it was read in")
    entries: tuple[Sysctl, ...] = ()

    @model_validator(mode="after")
    def _each_setting_has_one_value(self) -> Self:
        names = [entry.name for entry in self.entries]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise FieldError(
                    f"{name!r} is given twice; keep one value", "entries", index, "name"
                )
        return self
