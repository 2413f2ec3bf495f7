"""HTTP requests for a file of a stated size."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError
from steps.lib.models.timed import Timed

ResponseBytes = Literal[64, 1024, 16384, 131072, 1048576]
"""Sizes that the tool box has files of (``images/toolbox/build.sh``)."""


class Http(Timed):
    """GET requests on connections that stay open, in clear text (h2load against nginx).

    Each connection has the next request sent when an answer is there. Client and server have one
    thread each, so that rates end where one core does: the columns of CPU say which.
    """

    kind: Literal["http1", "http2"]
    connections: int = Field(ge=1, le=1000, description="TCP connections, all at once")
    requests_each: int = Field(
        default=1,
        ge=1,
        le=128,
        description="Requests in flight on each connection, as streams of `http2`",
    )
    response_bytes: ResponseBytes = Field(description="Size of the file that is asked for")
    duration_s: int = Field(
        ge=1,
        le=30,
        description="Measured seconds: each request is a line of a log, which is read afterwards",
    )
    omit_s: int = Field(ge=1, le=60, description="Seconds left out, in which connections are made")

    @model_validator(mode="after")
    def _streams_are_of_http2(self) -> Self:
        if self.kind == "http1" and self.requests_each > 1:
            raise FieldError(
                f"{self.requests_each} at once on a connection are for http2; write 1, and more "
                "`connections`",
                "requests_each",
            )
        return self

    @property
    def protocol(self) -> Literal["tcp"]:
        """Transport protocol."""
        return "tcp"

    @property
    def requests_in_flight(self) -> int:
        """On all connections together."""
        return self.connections * self.requests_each
