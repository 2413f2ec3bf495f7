"""Looking at the frames on a device: can the connection between two addresses be read there?

By a packet socket (packet(7)), in short bursts, so that a fast wire is not slowed down. Only the
standard library is used: agents on nodes have this too.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

ETH_P_ALL = 3
BURST_FRAMES = 50
BURST_S = 0.05
PAUSE_S = 0.1
"""50 frames each 0.1 s are at most some 500 a second, spread over the whole run."""

SNAP_BYTES = 256
"""Room for a tunnel's headers and the headers inside of it."""

IPV4_WITHOUT_OPTIONS = 0x45
PROTOCOL_AT, SOURCE_AT = 9, 12
TCP, UDP = 6, 17


@dataclass(frozen=True)
class Between:
    """Whose frames are meant: of the connection of two ends, sent by one node to another.

    All are IPv4 addresses.
    """

    client: str
    server: str
    sender: str
    receiver: str


@dataclass
class Seen:
    """What went out: all frames that count, those that could be read, and one of them."""

    frames: int = 0
    readable: int = 0
    example: str | None = None


def is_readable(frame: bytes, pairs: tuple[bytes, bytes]) -> bool:
    """Whether a TCP or UDP packet between two addresses stands in a frame, however deep.

    Args:
        frame: A frame, or its beginning.
        pairs: Source and destination as they follow each other in the header, of both directions.
    """
    return any(protocol in (TCP, UDP) for pair in pairs for protocol in _protocols(frame, pair))


def _protocols(frame: bytes, pair: bytes) -> Iterator[int]:
    """Protocol of each IPv4 header with this source and destination in a frame."""
    at = frame.find(pair)
    while at >= 0:
        start = at - SOURCE_AT
        if start >= 0 and frame[start] == IPV4_WITHOUT_OPTIONS:
            yield frame[start + PROTOCOL_AT]
        at = frame.find(pair, at + 1)


Watching = AbstractContextManager[Callable[[], Seen]]
"""Looks until the end of the block; what is yielded ends it, and tells what was seen."""


@dataclass
class Watch:
    """Looks at a device of this thread's network namespace, from ``start`` to ``stop``.

    Only frames that go out count. What comes in is shown twice by kernels that undo IPsec: as it
    was on the wire, and again in plain text.
    """

    device: str
    between: Between
    seen: Seen = field(default_factory=Seen)
    _ended: threading.Event = field(default_factory=threading.Event)
    _failure: OSError | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            OSError: there is no such device, or no right to see its frames.
        """
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        own.settimeout(BURST_S)
        self._thread = threading.Thread(target=self._look, args=(own,), daemon=True)
        own.bind((self.device, 0))
        self._thread.start()

    def stop(self) -> Seen:
        """End; what was seen. Idempotent.

        Raises:
            OSError: the device went away, so that what was seen is not all of it.
        """
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.seen

    def _look(self, own: socket.socket) -> None:
        """One burst after the other. Between them the socket is bound to no protocol: is idle."""
        client, server = map(socket.inet_aton, (self.between.client, self.between.server))
        sender, receiver = map(socket.inet_aton, (self.between.sender, self.between.receiver))
        pairs, nodes = (client + server, server + client), sender + receiver
        try:
            with own:
                while not self._ended.wait(PAUSE_S):
                    own.bind((self.device, ETH_P_ALL))
                    self._burst(own, pairs, nodes)
                    own.bind((self.device, 0))
                    self._drain(own)
        except OSError as failure:
            self._failure = failure

    def _burst(self, own: socket.socket, pairs: tuple[bytes, bytes], nodes: bytes) -> None:
        deadline = time.monotonic() + BURST_S
        for _ in range(BURST_FRAMES):
            try:
                frame, (_, _, packet_type, *_) = own.recvfrom(SNAP_BYTES)
            except TimeoutError:
                return
            if packet_type == socket.PACKET_OUTGOING:
                self._count(frame, pairs, nodes)
            if time.monotonic() > deadline:
                return

    def _count(self, frame: bytes, pairs: tuple[bytes, bytes], nodes: bytes) -> None:
        """Count what can be read, and what may be the connection and cannot be read."""
        if is_readable(frame, pairs):
            self.seen.readable += 1
            self.seen.example = self.seen.example or frame.hex()
        elif not any(_protocols(frame, nodes)):
            return
        self.seen.frames += 1

    def _drain(self, own: socket.socket) -> None:
        """Forget what came meanwhile, so that the next burst is of its own time."""
        own.setblocking(False)
        try:
            while own.recv(1):
                pass
        except BlockingIOError:
            pass
        own.settimeout(BURST_S)
