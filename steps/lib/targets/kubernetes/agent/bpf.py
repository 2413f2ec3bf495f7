"""Programs of the kernel's bpf that are attached without tc: to devices (tcx) and control groups.

Neither is shown by iproute2. bpf(2) tells which programs a place has, by identifiers that are new
on each load, and for each its name, which stays.
"""

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

_SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_PROG_DETACH, _PROG_GET_FD_BY_ID, _OBJ_GET_INFO, _PROG_QUERY = 9, 13, 15, 16
_LINK_GET_FD_BY_ID, _LINK_DETACH = 30, 34

TCX = {"ingress": 46, "egress": 47}
CGROUP = {
    "inet-ingress": 0,
    "inet-egress": 1,
    "sock-create": 2,
    "sock-ops": 3,
    "bind4": 8,
    "bind6": 9,
    "connect4": 10,
    "connect6": 11,
    "post-bind4": 12,
    "post-bind6": 13,
    "sendmsg4": 14,
    "sendmsg6": 15,
    "sysctl": 18,
    "recvmsg4": 19,
    "recvmsg6": 20,
    "getsockopt": 21,
    "setsockopt": 22,
    "getpeername4": 29,
    "getpeername6": 30,
    "getsockname4": 31,
    "getsockname6": 32,
    "sock-release": 34,
}
"""Kinds of attachment (enum bpf_attach_type in linux/bpf.h), but for those of the runtime."""

PROGRAMS_MAX = 64
_NAME_OFFSET = 64
"""Of the name in ``struct bpf_prog_info``: 16 bytes behind the first fields."""

_NO_SUCH_PLACE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)
"""What kernels answer that are older than the kind of attachment, or made without it, and what one
answers for a device that is gone."""

_libc = ctypes.CDLL(None, use_errno=True)


def on_device(index: int, kind: int) -> list[tuple[int, int]]:
    """Programs attached to a device: identifiers of each program and of its link, 0 if none."""
    return _query(index, kind)


def on_cgroup(directory: Path) -> list[str]:
    """Programs attached to a control group itself: ``<kind> <name>``."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return [
            f"{title} {program_name(program)}"
            for title, kind in CGROUP.items()
            for program, _ in _query(descriptor, kind)
        ]
    finally:
        os.close(descriptor)


def detach_from_device(index: int, kind: int, program: int, link: int) -> None:
    """Take a program off a device, as ``on_device`` tells it."""
    if link:
        descriptor = _bpf(_LINK_GET_FD_BY_ID, struct.pack("=III", link, 0, 0))
        _bpf(_LINK_DETACH, struct.pack("=I", descriptor))
    else:
        descriptor = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", program, 0, 0))
        _bpf(_PROG_DETACH, struct.pack("=IIII", index, descriptor, kind, 0))
    os.close(descriptor)


def program_name(program: int) -> str:
    """The name that its maker gave a program; its first 15 letters."""
    descriptor = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", program, 0, 0))
    try:
        information = ctypes.create_string_buffer(256)
        address = ctypes.addressof(information)
        _bpf(_OBJ_GET_INFO, struct.pack("=IIQ", descriptor, len(information), address))
        return information.raw[_NAME_OFFSET : _NAME_OFFSET + 16].partition(b"\0")[0].decode()
    finally:
        os.close(descriptor)


def _query(target: int, kind: int) -> list[tuple[int, int]]:
    """What is attached somewhere; nothing where the kernel knows no such place."""
    programs = (ctypes.c_uint32 * PROGRAMS_MAX)()
    links = (ctypes.c_uint32 * PROGRAMS_MAX)()
    attribute = bytearray(
        struct.pack(
            "=IIIIQIIQQQQ",
            *(target, kind, 0, 0, ctypes.addressof(programs), PROGRAMS_MAX, 0),
            *(0, ctypes.addressof(links) if kind in TCX.values() else 0, 0, 0),
        )
    )
    buffer = (ctypes.c_char * len(attribute)).from_buffer(attribute)
    try:
        _call(_PROG_QUERY, buffer)
    except OSError as error:
        if error.errno in _NO_SUCH_PLACE:
            return []
        raise
    count = struct.unpack_from("=I", attribute, 24)[0]
    return [(programs[i], links[i]) for i in range(count)]


def _bpf(command: int, attribute: bytes) -> int:
    return _call(command, ctypes.create_string_buffer(attribute, len(attribute)))


def _call(command: int, attribute: ctypes.Array[ctypes.c_char]) -> int:
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(f"bpf(2) is not known on {platform.machine()}")
    result: int = _libc.syscall(ctypes.c_long(number), command, attribute, len(attribute))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf: {os.strerror(code)}")
    return result
