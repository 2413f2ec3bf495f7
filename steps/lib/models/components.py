"""Components of the CPU's work: which functions of the kernel make which part of a data path."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError, Model, Name

OWNED = ("tool", "plugin", "cnibench", "system", "foreign", "other")
"""Names of components that no function decides: whose process it was, or that none is known."""

IDLE = ("idle", "polling")
"""Names of components that the busy time has none of; counted cycles have the second one."""


class Component(Model):
    """One part, by patterns of names as shells have them (``*``, ``?``, ``[...]``)."""

    name: Name
    description: str = Field(description="What it is, and where in the kernel's source it lies")
    symbols: tuple[str, ...] = Field(min_length=1, description="Names of functions")
    modules: tuple[str, ...] = Field(
        default=(), description="Kernel modules whose every function belongs to it"
    )


class CpuComponents(Model):
    """How a sample of a CPU is told to be of one component."""

    source: str = Field(description="Where the split and the names stem from, and what was checked")
    precedence: Literal["innermost-frame"] = Field(
        description="The innermost frame that matches anything decides; of it the first component"
    )
    interrupts: tuple[str, ...] = Field(
        min_length=1,
        description="Functions inside of which the kernel works for nobody who is running just now",
    )
    components: tuple[Component, ...] = Field(min_length=1)
    unchecked: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Patterns that match nothing on the kernel they were checked on, by the reason",
    )

    @model_validator(mode="after")
    def _names_are_distinct_and_free(self) -> Self:
        seen: set[str] = set()
        for index, component in enumerate(self.components):
            if component.name in seen or component.name in OWNED:
                raise FieldError(
                    f"{component.name!r} is taken; give each component a name of its own, and none "
                    f"of {', '.join(OWNED)}",
                    *("components", index, "name"),
                )
            seen.add(component.name)
        for name in IDLE:
            if name not in seen:
                raise FieldError(
                    f"has no component `{name}`; without it idle time would be a share of the cost",
                    "components",
                )
        return self
