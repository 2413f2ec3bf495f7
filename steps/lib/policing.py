"""Having a policy in force around a cell, with proof: who may connect can, a stranger cannot.

The proof is by connecting to the measured ports themselves, before the tool's server listens there
and after it has ended; a trial listens meanwhile, so that no refusal is for want of a listener.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from steps.lib.errors import RefusedError
from steps.lib.models import Policy
from steps.lib.reading import Ends
from steps.lib.targets.protocol import STRANGER, Endpoint, EndpointRequest, Target

OPEN_TRIALS = 10
OPEN_POLL_S = 0.5
EFFECT_TIMEOUT_S = 60.0
POLL_S = 0.02
CONNECT_TIMEOUT_S = 1.0
"""For proof: a busy machine answers within it."""

POLL_CONNECT_TIMEOUT_S = 0.1
"""While the effect is waited for. A plugin that drops packets says nothing, so that each trial of a
stranger takes as long as this: with a longer one the times would be of the trials."""

Reached = Mapping[int, bool]
"""Whether a connection to each port came about."""


@dataclass(frozen=True)
class Seen:
    """Who reached which port at one time. ``asked_s``: when the stranger's last trial began."""

    client: Reached
    stranger: Reached
    asked_s: float

    @property
    def is_in_force(self) -> bool:
        """The client reaches every port, the stranger none."""
        return all(self.client.values()) and not any(self.stranger.values())


@dataclass
class Policed:
    """A policy around one run. Times are from the request to the trial that showed the effect."""

    target: Target
    ends: Ends
    stranger: Endpoint
    ports: Sequence[int]
    open_before: Seen
    seen: list[Seen] = field(default_factory=list)
    applied_ms: float | None = None
    removed_ms: float | None = None

    def look(self, timeout_s: float = CONNECT_TIMEOUT_S) -> Seen:
        """Try each port from both sides."""
        return look(self.target, self.ends, self.stranger, self.ports, timeout_s)

    def look_again(self) -> None:
        """Keep what is seen now."""
        self.seen.append(self.look())


def look(
    target: Target, ends: Ends, stranger: Endpoint, ports: Sequence[int], timeout_s: float
) -> Seen:
    """Who reaches the server's ports now."""
    asked_s = 0.0

    def reached(who: Endpoint, port: int) -> bool:
        nonlocal asked_s
        asked_s = time.perf_counter()
        return target.surroundings.connects(who, ends.address, port, timeout_s)

    with target.surroundings.listening(ends.server, ports):
        client = {port: reached(ends.client, port) for port in ports}
        others = {port: reached(stranger, port) for port in ports}
    return Seen(client, others, asked_s)


@contextmanager
def policed(
    target: Target, policy: Policy | None, ends: Ends, ports: Sequence[int]
) -> Iterator[Policed | None]:
    """Have the policy in force for the time of the block.

    Raises:
        RefusedError: the stranger is turned away without any policy: nothing could be proven.
    """
    if policy is None:
        yield None
        return
    request = EndpointRequest(STRANGER, "pod", _node_index(target, ends.client))
    with target.endpoint(request) as stranger:
        open_before = _open(target, ends, stranger, ports)
        found = Policed(target, ends, stranger, ports, open_before)
        started_s = time.perf_counter()
        with target.surroundings.applied(policy, ends.server, ends.client, ports):
            found.applied_ms = _until(found, started_s, in_force=True)
            found.look_again()
            yield found
            started_s = time.perf_counter()
        found.removed_ms = _until(found, started_s, in_force=False)


def _open(target: Target, ends: Ends, stranger: Endpoint, ports: Sequence[int]) -> Seen:
    """Wait until everybody reaches the server.

    A plugin may hold back a new pod for a moment, or still enforce a policy that was just deleted.

    Raises:
        RefusedError: not in time.
    """
    for _ in range(OPEN_TRIALS):
        seen = look(target, ends, stranger, ports, CONNECT_TIMEOUT_S)
        if all((*seen.client.values(), *seen.stranger.values())):
            return seen
        time.sleep(OPEN_POLL_S)
    raise RefusedError(
        f"without a policy not everybody reaches the server in {OPEN_TRIALS} trials: {seen}"
    )


def _until(found: Policed, started_s: float, *, in_force: bool) -> float | None:
    """Time until the policy has its effect, or has lost it; None if it does not come in time.

    A stranger who gets no answer may only be slow: that it is the policy is confirmed by a longer
    trial, and the time is that of the short one before it.

    What the gate says then is ``policy``: the last look is kept, whatever it shows.
    """
    while True:
        seen = found.look(POLL_CONNECT_TIMEOUT_S)
        passed_s = seen.asked_s - started_s
        if in_force:
            done = seen.is_in_force and found.look().is_in_force
        else:
            done = all(seen.stranger.values())
        if done:
            return passed_s * 1e3
        if passed_s > EFFECT_TIMEOUT_S:
            return None
        time.sleep(POLL_S)


def _node_index(target: Target, endpoint: Endpoint) -> int:
    return [node.name for node in target.nodes()].index(endpoint.node.name)
