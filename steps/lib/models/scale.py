"""How much else the cluster has to know, or to do, while a cell is measured."""

from typing import Self

from pydantic import Field, model_validator

from steps.lib.models.base import Model

SERVICES_MAX = 10_000
ENDPOINTS_EACH_MAX = 100
"""Of one EndpointSlice, as Kubernetes itself fills them."""

PODS_MAX = 100
"""A node's range of addresses has room for half of them on each of two nodes."""


class Scale(Model):
    """Services that nobody calls, all of which have to be programmed; pods that start at once."""

    services: int = Field(
        default=0, ge=0, le=SERVICES_MAX, description="With a cluster address each"
    )
    endpoints_each: int = Field(
        default=1,
        ge=1,
        le=ENDPOINTS_EACH_MAX,
        description="Endpoints of each Service, at addresses that nobody has (198.18.0.0/15)",
    )
    pods: int = Field(
        default=0,
        ge=0,
        le=PODS_MAX,
        description="Pods on all nodes in turn, asked for at once before the cell and timed until "
        "each answers; they stay while it is measured",
    )

    @model_validator(mode="after")
    def _there_is_something(self) -> Self:
        if not self.services and not self.pods:
            raise ValueError(
                "neither `services` nor `pods`; write at least 1 of one, or leave it out"
            )
        return self
