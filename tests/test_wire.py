"""What can be read on a wire, at whatever depth, and what cannot."""

import random
import socket
import struct
import subprocess
from contextlib import ExitStack

import pytest

from steps.lib.targets.namespaces import netns
from steps.lib.targets.wire import SNAP_BYTES, Between, Seen, Watch, is_readable

CLIENT, SERVER = "10.244.0.2", "10.244.1.3"
PAIRS = (
    socket.inet_aton(CLIENT) + socket.inet_aton(SERVER),
    socket.inet_aton(SERVER) + socket.inet_aton(CLIENT),
)
ETHERNET = bytes(12) + b"\x08\x00"
TCP, UDP, ESP = 6, 17, 50
VXLAN = bytes.fromhex("0800000000000100")
GENEVE_WITH_OPTIONS = bytes.fromhex("0200655800000100") + bytes(8)


def ipv4(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    total = 20 + len(payload)
    return struct.pack("!BBHIBBH", 0x45, 0, total, 0, 64, protocol, 0) + addresses + payload


def noise(count: int) -> bytes:
    return random.Random(1).randbytes(count)


INNER = ETHERNET + ipv4(TCP, SERVER, CLIENT, noise(40))


@pytest.mark.parametrize(
    ("frame", "readable"),
    [
        pytest.param(ETHERNET + ipv4(UDP, CLIENT, SERVER, noise(40)), True, id="routed"),
        pytest.param(
            ETHERNET + ipv4(UDP, "10.98.0.11", "10.98.0.12", noise(8) + VXLAN + INNER),
            True,
            id="vxlan",
        ),
        pytest.param(
            ETHERNET
            + ipv4(UDP, "10.98.0.11", "10.98.0.12", noise(8) + GENEVE_WITH_OPTIONS + INNER),
            True,
            id="geneve",
        ),
        pytest.param(ETHERNET + ipv4(4, "10.98.0.11", "10.98.0.12", INNER[14:]), True, id="ipip"),
        pytest.param(ETHERNET + ipv4(ESP, CLIENT, SERVER, noise(40)), False, id="esp between pods"),
        pytest.param(
            ETHERNET + ipv4(UDP, "10.98.0.11", "10.98.0.12", noise(200)), False, id="wireguard"
        ),
        pytest.param(
            ETHERNET + ipv4(TCP, "10.244.0.9", SERVER, noise(40)), False, id="others' connection"
        ),
        pytest.param(PAIRS[0], False, id="addresses without a header"),
    ],
)
def test_a_connection_is_readable_where_its_headers_stand_in_the_frame(
    frame: bytes, readable: bool
) -> None:
    assert is_readable(frame, PAIRS) is readable


NODES = "10.98.0.11", "10.98.0.12"
PLAIN = ETHERNET + ipv4(UDP, CLIENT, SERVER, noise(40))
TUNNELLED = ETHERNET + ipv4(UDP, *NODES, noise(8) + VXLAN + INNER)
ENCRYPTED = ETHERNET + ipv4(ESP, *NODES, noise(200))
OF_OTHERS = ETHERNET + ipv4(UDP, NODES[0], "10.98.0.13", noise(200))


def watched(leaving: list[bytes], arriving: list[bytes], until: int = 100) -> tuple[Seen, int]:
    """Send frames by a device and to it until so many count; how often each of them was sent."""
    turns = 0
    with netns.scratch(), ExitStack() as stack:
        subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "v1"], check=True)
        ways = []
        for device, frames in (("v0", leaving), ("v1", arriving)):
            subprocess.run(["ip", "link", "set", device, "up"], check=True)
            way = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
            way.bind((device, 0))
            ways.append((way, frames))
        watch = Watch("v0", Between(CLIENT, SERVER, *NODES))
        watch.start()
        while watch.seen.frames < until:
            turns += 1
            for way, frames in ways:
                for frame in frames:
                    way.send(frame)
        return watch.stop(), turns


@pytest.mark.namespaces
@pytest.mark.parametrize("plain", [PLAIN, TUNNELLED])
def test_plain_text_that_leaves_a_node_is_seen_beside_encrypted_frames(plain: bytes) -> None:
    seen, _ = watched([ENCRYPTED, plain], [])
    assert seen.readable > 0
    assert seen.example == plain[:SNAP_BYTES].hex()


@pytest.mark.namespaces
def test_plain_text_that_the_kernel_hands_back_from_a_tunnel_is_not_on_the_wire() -> None:
    seen, _ = watched([ENCRYPTED], [PLAIN, TUNNELLED])
    assert (seen.readable, seen.example) == (0, None)


@pytest.mark.namespaces
def test_frames_to_others_prove_nothing() -> None:
    seen, turns = watched([ENCRYPTED, *[OF_OTHERS] * 9], [])
    assert 100 <= seen.frames <= turns
    assert seen.readable == 0


@pytest.mark.namespaces
def test_a_watch_that_was_stopped_tells_the_same_again() -> None:
    with netns.scratch():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        watch = Watch("lo", Between(CLIENT, SERVER, *NODES))
        watch.start()
        assert watch.stop() is watch.stop()
