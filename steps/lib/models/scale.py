"""How much else the cluster has to know while a cell is measured."""

from pydantic import Field

from steps.lib.models.base import Model

SERVICES_MAX = 10_000
ENDPOINTS_EACH_MAX = 100
"""Of one EndpointSlice, as Kubernetes itself fills them."""


class Scale(Model):
    """Services that nobody calls, with endpoints: all of them have to be programmed."""

    services: int = Field(ge=1, le=SERVICES_MAX, description="With a cluster address each")
    endpoints_each: int = Field(
        default=1,
        ge=1,
        le=ENDPOINTS_EACH_MAX,
        description="Endpoints of each Service, at addresses that nobody has (198.18.0.0/15)",
    )
