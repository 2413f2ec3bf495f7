"""What network devices offload, by one ioctl a device. Standard library only.

Names of features are those of ``ethtool -k``; only those that change how packets are counted or
what they cost are looked at (include/linux/ethtool.h, ``ETHTOOL_GFEATURES``).
"""

import array
import fcntl
import socket
import struct
from collections.abc import Iterable
from functools import cache

OFFLOADS = (
    "rx-checksum",
    "tx-checksum-ip-generic",
    "tx-checksum-ipv4",
    "tx-scatter-gather",
    "tx-tcp-segmentation",
    "tx-udp-segmentation",
    "tx-generic-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-gre-segmentation",
    "tx-ipxip4-segmentation",
    "tx-esp-segmentation",
    "rx-gro",
    "rx-gro-hw",
    "rx-gro-list",
    "rx-udp-gro-forwarding",
    "rx-lro",
    "esp-hw-offload",
    "hw-tc-offload",
)

_SIOCETHTOOL = 0x8946
_GET_STRINGS, _GET_COUNT, _GET_FEATURES = 0x1B, 0x37, 0x3A
_SET_OF_FEATURES = 4
_NAME_BYTES = 32
_ANY = "lo"
"""Names are the same for all devices, and every namespace has this one."""

_BLOCKS = 8
"""Of 32 features each: twice what kernels of today have."""

_ACTIVE, _FIELDS = 2, 4
"""A block has the words available, requested, active, never changed."""


def active(devices: Iterable[str]) -> dict[str, int]:
    """Active ``OFFLOADS`` of devices of this thread's namespace, as bits in their order.

    A device that has ended meanwhile is left out.
    """
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        for device in devices:
            try:
                bits = _bits(control, device)
                found[device] = sum((bits >> theirs & 1) << ours for ours, theirs in _known())
            except OSError:
                continue
    return found


def names(bits: int) -> set[str]:
    """The features that such bits stand for."""
    return {name for place, name in enumerate(OFFLOADS) if bits >> place & 1}


def _bits(control: socket.socket, device: str) -> int:
    words = _asked(control, device, [_GET_FEATURES, _BLOCKS, *[0] * (_FIELDS * _BLOCKS)])
    blocks = words[2:]
    return sum(blocks[i * _FIELDS + _ACTIVE] << 32 * i for i in range(_BLOCKS))


@cache
def _known() -> list[tuple[int, int]]:
    """Our bits of features that the kernel has, and its own, which are of its choice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        mask = 1 << _SET_OF_FEATURES
        count = _asked(control, _ANY, [_GET_COUNT, 0, mask, 0, 0])[4]
        words = [_GET_STRINGS, _SET_OF_FEATURES, count, *[0] * (count * _NAME_BYTES // 4)]
        text = _asked(control, _ANY, words)[3:].tobytes()
    starts = range(0, len(text), _NAME_BYTES)
    theirs = [text[i : i + _NAME_BYTES].rstrip(b"\0").decode() for i in starts]
    return [(ours, theirs.index(n)) for ours, n in enumerate(OFFLOADS) if n in theirs]


def _asked(control: socket.socket, device: str, words: list[int]) -> "array.array[int]":
    """Send a request of 32-bit words; the kernel answers in its place."""
    buffer = array.array("I", words)
    request = struct.pack("16sP16x", device.encode(), buffer.buffer_info()[0])
    fcntl.ioctl(control, _SIOCETHTOOL, request)
    return buffer
