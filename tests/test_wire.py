"""What can be read on a wire, at whatever depth, and what cannot."""

import random
import socket
import struct
import subprocess

import pytest

from steps.lib.targets.namespaces import netns
from steps.lib.targets.wire import Watch, is_readable

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


@pytest.mark.namespaces
def test_a_watch_sees_what_passes_a_device_until_it_is_stopped() -> None:
    with netns.scratch():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        watch = Watch("lo", ("127.0.0.1", "127.0.0.1"))
        watch.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            while watch.seen.frames < 100:
                sending.sendto(b"text", ("127.0.0.1", 9))
        seen = watch.stop()
    assert seen.frames >= 100
    assert seen.readable > 0
    assert seen.example is not None
    assert watch.stop() is seen
