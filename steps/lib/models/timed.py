"""What every kind of traffic states, and what may run beside it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import Model, Name
from steps.lib.models.path import PathName
from steps.lib.models.policy import Policy
from steps.lib.models.scale import Scale

Direction = Literal["forward", "reverse"]

AddressFamily = Literal["ipv4", "ipv6"]

IP_HEADER_BYTES: dict[AddressFamily, int] = {"ipv4": 20, "ipv6": 40}

LOAD_STREAMS_MAX = 512

UDP_PAYLOAD_BYTES_MAX = 65_507
"""65,535 less the headers of IPv4 (20) and UDP (8)."""


def family_of(address: str) -> AddressFamily:
    """Of an address, not of a name."""
    return "ipv6" if ":" in address else "ipv4"


def check_shares(rate_bits_per_s: int | None, streams: int) -> None:
    """Each stream gets a whole number of bits a second."""
    if rate_bits_per_s is not None and rate_bits_per_s % streams:
        raise ValueError(
            f"rate_bits_per_s {rate_bits_per_s} is not a multiple of streams {streams}; each "
            "stream gets the same rate"
        )


class Load(Model):
    """Bulk TCP that runs beside the measured traffic, between the same two ends."""

    streams: int = Field(ge=1, le=LOAD_STREAMS_MAX, description="Flows, all at once")
    message_bytes: int = Field(ge=16, le=1 << 20, description="Size of one write")
    congestion_control: str = Field(
        pattern=r"^[a-z0-9_]+$", description="As of a cell; `node` for the nodes' own"
    )
    direction: Direction = "forward"
    rate_bits_per_s: int | None = Field(
        default=None,
        ge=10_000,
        description="Of all flows together; null: as fast as each of them goes",
    )

    @model_validator(mode="after")
    def _each_stream_can_have_its_share(self) -> Self:
        check_shares(self.rate_bits_per_s, self.streams)
        return self


class Timed(Model):
    """What every kind of traffic states. No tool default is ever used."""

    id: Name = Field(description="Short name; with the path it makes the cell id")
    paths: tuple[PathName, ...] = Field(
        default=(), description="Only these; empty = all of the matrix"
    )
    duration_s: int = Field(ge=1, le=3600, description="Measured seconds, after `omit_s`")
    family: AddressFamily = Field(
        default="ipv4", description="Of the addresses; planned as unsupported where there are none"
    )
    load: Load | None = Field(
        default=None,
        description="Bulk TCP between the same two ends all the while: latency under load, or the "
        "cost of many flows",
    )
    scale: Scale | None = Field(
        default=None, description="Services that the cluster has beside, programmed on its nodes"
    )
    policy: Policy | None = Field(
        default=None, description="In force all the while, and proven; of TCP traffic that is alone"
    )
