"""Small jobs for tests, made from the real catalog."""

from functools import cache
from typing import Any

from steps.lib.catalog import Catalog, Job
from steps.lib.models import Campaign, Limits, Matrix, Plugin, Profile, TargetSpec

TCP = {
    "id": "tcp-1",
    "kind": "tcp-stream",
    "streams": 1,
    "message_bytes": 131072,
    "congestion_control": "cubic",
    "duration_s": 1,
    "omit_s": 0,
}
UDP = {
    "id": "udp-100m",
    "kind": "udp-stream",
    "streams": 1,
    "message_bytes": 1300,
    "rate_bits_per_s": 100_000_000,
    "duration_s": 1,
    "omit_s": 0,
}
RR = {"id": "tcp-rr", "kind": "tcp-rr", "request_bytes": 1, "response_bytes": 1, "duration_s": 2}
HTTP = {
    "id": "http2", "kind": "http2", "connections": 4, "requests_each": 8, "response_bytes": 1024,
    "duration_s": 2, "omit_s": 1,
}  # fmt: skip
UDP_RR = RR | {"id": "udp-rr", "kind": "udp-rr", "tool": "transact", "omit_s": 1}

LENIENT = Limits(
    steal_percent_max=100,
    foreign_cpu_percent_max=100,
    busy_percent_max_before_start=100,
    attempts_max=1,
    drift_percent_max=10_000,
)
"""For tests of behaviour, which must not depend on how busy the machine is."""


@cache
def plugin(name: str) -> Plugin:
    """A plugin of the real catalog."""
    return Catalog().plugins.load(name)


@cache
def profile(name: str) -> Profile:
    """A profile of the real catalog."""
    return Catalog().profiles.load(name)


def matrix(*traffic: dict[str, Any], **fields: Any) -> Matrix:
    """A matrix named ``test``."""
    return Matrix.model_validate(
        {
            "name": "test",
            "title": "Test",
            "description": "For tests.",
            "paths": ["cross-node"],
            "traffic": traffic or (TCP,),
            "limits": LENIENT.model_dump(),
        }
        | fields
    )


def job(
    plugins: tuple[str, ...],
    *,
    profiles: tuple[str, ...] = ("base",),
    repeats: int = 1,
    of: Matrix | None = None,
    target: str = "test",
    name: str = "test",
    seed: int = 1,
) -> Job:
    """A job over entries of the real catalog."""
    of = of or matrix()
    campaign = Campaign(
        name=name,
        title="Test",
        target=TargetSpec(kind="namespaces", name=target),
        plugins=plugins,
        profiles=profiles,
        matrix=of.name,
        repeats=repeats,
        seed=seed,
    )
    return Job(
        campaign=campaign,
        plugins=tuple(plugin(p) for p in plugins),
        profiles=tuple(profile(p) for p in profiles),
        matrix=of,
    )
