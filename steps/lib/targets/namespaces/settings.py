"""Kernel settings of a namespace, and which of them a new namespace takes over.

A node's namespace stands for a machine, so two kinds of settings have to be told apart. Those of
the namespace are read and written in it. Those of the whole kernel are either not visible in it
(``net.core.netdev_max_backlog``) or visible but read-only (``net.core.rmem_max``); they are written
where this process runs, which touches nothing that belongs to the machine's own namespace alone.
"""

import re
import stat
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.targets.namespaces import netns

INHERITED = (
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.conf.all.*",
    "net.ipv4.conf.default.*",
)
"""What the kernel gives a new namespace from the *initial* one instead of a constant.

``tcp_sk_init`` in net/ipv4/tcp_ipv4.c copies the first two and, if its module is loaded, the third;
``devinet_init_net`` in net/ipv4/devinet.c copies the device settings (unless
``net.core.devconf_inherit_init_net`` says otherwise). A pod on a real node takes them from that
node; here its node is a namespace itself, so they are copied by hand when a pod is made.
"""

_ROOT = Path("/proc/sys")
_OF_A_DEVICE = re.compile(r"net\.\w+\.(conf|neigh)\.")
"""Settings that exist once for each device: absent in the node means absent, wherever else."""


def read(namespace: str | None, name: str) -> str | None:
    """Value in force in a namespace, or in our own, its fields separated by one blank.

    None where it is not visible.
    """
    with netns.inside(namespace):
        return _value(_file(name))


def read_on_node(namespace: str, name: str) -> str | None:
    """Value in force on a node: the namespace's, or the whole kernel's."""
    value = read(namespace, name)
    if value is None and not _OF_A_DEVICE.match(name):
        return _value(_file(name))
    return value


def write_on_node(namespace: str, name: str, value: str) -> None:
    """Set a node's value, in its namespace or for the whole kernel, whichever the setting is of.

    Raises:
        RefusedError: no such setting, or the kernel does not take the value.
    """
    file = _file(name)
    try:
        with netns.inside(namespace):
            if _is_writable(file):
                file.write_text(value)
                return
        if _OF_A_DEVICE.match(name) or not _is_writable(file):
            raise RefusedError(f"{name} cannot be set: this kernel has no such writable setting")
        file.write_text(value)
    except OSError as error:
        raise RefusedError(f"{name} cannot be set to {value!r}: {error.strerror}") from error


def is_writable_on_node(namespace: str, name: str) -> bool:
    """Whether ``write_on_node`` may set it at all."""
    with netns.inside(namespace):
        if _is_writable(_file(name)):
            return True
    return not _OF_A_DEVICE.match(name) and _is_writable(_file(name))


@cache
def scope(name: str) -> str:
    """``netns`` if each network namespace has its own on this kernel, else ``node``.

    What a new namespace may set in itself is its own. Settings of one device are always.
    """
    if _OF_A_DEVICE.match(name):
        return "netns"
    if not name.startswith("net."):
        return "node"
    with netns.scratch():
        return "netns" if _is_writable(_file(name)) else "node"


def inherit(parent: str, child: str) -> None:
    """Give a new namespace what the kernel would give it if ``parent`` were the machine's own.

    Only what differs is written: a congestion control that was inherited may be one that only the
    initial namespace is allowed to set.
    """
    with netns.inside(parent):
        wanted = _inherited()
    with netns.inside(child):
        present = _inherited()
        for file, value in wanted.items():
            if present.get(file) != value:
                file.write_text(value)


def is_inherited(name: str) -> bool:
    """Whether a new namespace takes the setting over."""
    return any(fnmatchcase(name, pattern) for pattern in INHERITED)


def _inherited() -> dict[Path, str]:
    files = [f for p in INHERITED for f in _ROOT.glob(p.replace(".", "/"))]
    return {f: value for f in files if _is_writable(f) and (value := _value(f)) is not None}


def _file(name: str) -> Path:
    """As sysctl(8): dots separate, a slash stands for a dot inside of a device's name."""
    return _ROOT / name.translate(str.maketrans("./", "/."))


def _value(file: Path) -> str | None:
    try:
        return " ".join(file.read_text().split())
    except OSError:
        return None  # Absent, or one that can only be written.


def _is_writable(file: Path) -> bool:
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & 0o222)
    except OSError:
        return False
