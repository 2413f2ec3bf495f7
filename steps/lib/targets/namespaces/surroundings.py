"""Trials of what reaches a pod. The plugins of this target have no policies to be tried."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from steps.lib.errors import RefusedError
from steps.lib.models import Policy, Scale
from steps.lib.targets.namespaces import netns
from steps.lib.targets.protocol import Endpoint

BACKLOG = 16


@dataclass(frozen=True)
class Surroundings:
    """``protocol.Surroundings``. ``namespace`` gives an endpoint's."""

    namespace: Callable[[Endpoint], str]

    @contextmanager
    def populated(self, scale: Scale | None) -> Iterator[None]:
        """Refuse, if any are asked for."""
        if scale is not None:
            raise RefusedError("the embedded target has no Services")
        yield

    @contextmanager
    def applied(
        self, policy: Policy, server: Endpoint, client: Endpoint, ports: Sequence[int]
    ) -> Iterator[None]:
        """Refuse: the reference plugins know no policies."""
        raise RefusedError("the embedded target has nobody who enforces a policy")
        yield

    @contextmanager
    def listening(self, server: Endpoint, ports: Sequence[int]) -> Iterator[None]:
        """Listen on ports of a pod: a listening socket answers by itself."""
        with ExitStack() as stack:
            for port in ports:
                with netns.inside(self.namespace(server)):
                    listener = stack.enter_context(socket.socket())
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("", port))
                listener.listen(BACKLOG)
            yield

    def connects(self, client: Endpoint, address: str, port: int, timeout_s: float) -> bool:
        """Whether a connection comes about."""
        with netns.inside(self.namespace(client)):
            trial = socket.socket()
        with trial:
            trial.settimeout(timeout_s)
            try:
                trial.connect((address, port))
            except OSError:
                return False
        return True
