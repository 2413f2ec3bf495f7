"""A search for the highest rate without loss worth the name."""

from math import ceil, log, log1p, log2
from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError
from steps.lib.models.timed import UDP_PAYLOAD_BYTES_MAX, Direction, Timed

RATE_STEP_BITS_PER_S = 10_000


class NoDropSearch(Timed):
    """The highest UDP rate with no more loss than stated, searched and then confirmed (iperf3)."""

    kind: Literal["no-drop-stream"]
    streams: int = Field(default=1, ge=1, le=128)
    message_bytes: int = Field(ge=16, le=UDP_PAYLOAD_BYTES_MAX, description="Of one datagram")
    direction: Direction = "forward"
    omit_s: int = Field(ge=0, le=60, description="Seconds left out at the start of each run")
    rate_bits_per_s_min: int = Field(ge=100_000, description="Where the search gives up")
    rate_bits_per_s_max: int = Field(ge=100_000, description="What is tried first")
    loss_percent_max: float = Field(
        ge=0, lt=50, description="Loss that a run may have and pass; 0 is the no-drop rate"
    )
    resolution_percent: float = Field(
        gt=0, le=50, description="The search ends when a rate so much higher has failed"
    )
    trial_s: int = Field(ge=1, le=600, description="Seconds of a run that searches")
    confirmations: int = Field(
        ge=1, le=50, description="Runs of `duration_s` that must all pass at the rate found"
    )
    trials_max: int = Field(ge=2, le=200, description="Runs of either kind, at most")

    @model_validator(mode="after")
    def _it_can_come_to_an_end(self) -> Self:
        if self.rate_bits_per_s_min >= self.rate_bits_per_s_max:
            raise FieldError(
                f"{self.rate_bits_per_s_min} is not below rate_bits_per_s_max "
                f"{self.rate_bits_per_s_max}; there is nothing to search",
                "rate_bits_per_s_min",
            )
        if self.load is not None:
            raise FieldError("is for traffic of a known duration; leave it out", "load")
        needed = self.trials_needed
        if self.trials_max < needed:
            raise FieldError(
                f"{self.trials_max} runs do not suffice to halve the rates down to "
                f"{self.resolution_percent:g} % and to confirm one; write at least {needed}",
                "trials_max",
            )
        return self

    @property
    def protocol(self) -> Literal["udp"]:
        """Transport protocol."""
        return "udp"

    @property
    def trials_needed(self) -> int:
        """Runs of a search that is not disturbed: both ends, halving, confirmations."""
        whole = log(self.rate_bits_per_s_max / self.rate_bits_per_s_min)
        halvings = log2(whole / log1p(self.resolution_percent / 100))
        return 2 + max(0, ceil(halvings)) + self.confirmations

    def rounded(self, rate_bits_per_s: int) -> int:
        """A rate of which each stream can have its share."""
        step = RATE_STEP_BITS_PER_S * self.streams
        return max(step, rate_bits_per_s // step * step)
