"""What the node's kernel offers: kinds of link, and modules."""

import ctypes
import errno
import gzip
import os
import platform
import socket
import struct
from pathlib import Path

from steps.lib.targets.kubernetes.agent import places, programs
from steps.lib.targets.namespaces import netns

_RTM_NEWLINK = 16
_REQUEST, _ACKNOWLEDGE, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 18, 1
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")

OPTIONS = {
    "br_netfilter": "BRIDGE_NETFILTER",
    "esp4": "INET_ESP",
    "esp6": "INET6_ESP",
    "ip_gre": "NET_IPGRE",
    "ip_tables": "IP_NF_IPTABLES",
    "ip6_tables": "IP6_NF_IPTABLES",
    "ipip": "NET_IPIP",
    "overlay": "OVERLAY_FS",
    "sch_netem": "NET_SCH_NETEM",
    "sit": "IPV6_SIT",
}
"""Options of the kernel's configuration that are not called like their module."""

_libc = ctypes.CDLL(None, use_errno=True)
_O_NONBLOCK = os.O_NONBLOCK


def link_kind_problem(kind: str) -> str | None:
    """Why the kernel cannot make a kind of link; None if it can.

    Asked without parameters, some kinds refuse too (no parent, no network identifier), but only one
    that does not exist, and that no module brings, is "not supported" (rtnl_newlink in the kernel).
    By netlink, since ``ip`` itself asks some kinds for parameters first.
    """
    with netns.scratch():
        code = _ask_for_link(kind)
    return os.strerror(code) if code == errno.EOPNOTSUPP else None


def module_state(name: str) -> str:
    """``loaded``, ``builtin``, ``loadable``, ``absent``, or ``unknown`` where nothing tells."""
    plain = name.replace("-", "_")
    if plain in loaded_modules():
        return "loaded"
    if Path(f"/sys/module/{plain}").exists():
        return "builtin"  # With parameters; those without are known by the lists only.
    with places.node_root():
        return _in_lists(plain) or _in_configuration(plain) or "unknown"


def load_module(name: str) -> str | None:
    """Load it by the node's own ``modprobe``; the reason if that fails."""
    with places.node_root():
        return programs.attempt("modprobe", name)


def unload_module(name: str) -> str | None:
    """Take a module out of the kernel if nothing uses it; the reason if that fails."""
    if name.replace("-", "_") not in loaded_modules():
        return None
    if _libc.delete_module(name.replace("-", "_").encode(), _O_NONBLOCK) == 0:
        return None
    return os.strerror(ctypes.get_errno())


def loaded_modules() -> list[str]:
    """Names; none where the kernel has no modules at all."""
    file = Path("/proc/modules")
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def _in_lists(name: str) -> str | None:
    """What the node's lists of modules say; None where it has none."""
    folder, listed = Path("/lib/modules", platform.release()), False
    for index, state in (("modules.builtin", "builtin"), ("modules.dep", "loadable")):
        file = folder / index
        listed = listed or file.exists()
        if file.exists() and _lists(file.read_text(), name):
            return state
    return "absent" if listed else None


def _lists(index: str, name: str) -> bool:
    """Whether an index of modules has one: lines such as ``kernel/net/x/vx-lan.ko.xz: ...``."""
    files = (line.partition(":")[0].rpartition("/")[2] for line in index.splitlines())
    return any(file.partition(".")[0].replace("-", "_") == name for file in files)


def _in_configuration(name: str) -> str | None:
    """What the kernel's own configuration says; None where it does not tell."""
    option = f"CONFIG_{OPTIONS.get(name, name.upper())}"
    text = _configuration()
    if f"{option}=y" in text:
        return "builtin"
    if f"{option}=m" in text:
        return "loadable"
    known = name in OPTIONS or f"# {option} is not set" in text
    return "absent" if text and known else None


def _configuration() -> list[str]:
    for file in (Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}")):
        if file.exists():
            content = file.read_bytes()
            text = gzip.decompress(content) if file.suffix == ".gz" else content
            return text.decode("ascii", "replace").splitlines()
    return []


def _ask_for_link(kind: str) -> int:
    """Ask for a device of the kind, here; the number of the error, 0 if it was made."""
    information = _attribute(_IFLA_INFO_KIND, kind.encode() + b"\0")
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += _attribute(_IFLA_IFNAME, b"trial\0") + _attribute(_IFLA_LINKINFO, information)
    flags = _REQUEST | _ACKNOWLEDGE | _CREATE | _EXCLUSIVE
    message = _HEADER.pack(_HEADER.size + len(body), _RTM_NEWLINK, flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(message)
        answer = kernel.recv(65536)
    code: int = struct.unpack_from("=i", answer, _HEADER.size)[0]
    return -code


def _attribute(kind: int, value: bytes) -> bytes:
    """An attribute of netlink: length, kind, value, padded to four bytes."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)
