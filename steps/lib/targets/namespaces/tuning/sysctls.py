"""Kernel settings below ``/proc/sys``, and TCP congestion control, which is two of them."""

import errno
import socket

from steps.lib.errors import RefusedError
from steps.lib.setting import Found, LackingError, Setting, Wanted
from steps.lib.targets.namespaces import netns, settings
from steps.lib.targets.namespaces.tuning.access import Access

CONGESTION_CONTROL = "net.ipv4.tcp_congestion_control"
DEFAULT_QUEUE_DISCIPLINE = "net.core.default_qdisc"
ALLOWED = "net.ipv4.tcp_allowed_congestion_control"

_TWINS = {
    f"vm.dirty_{which}{unit}": f"vm.dirty_{which}{other}"
    for which in ("", "background_")
    for unit, other in (("ratio", "bytes"), ("bytes", "ratio"))
}
"""Settings that the kernel makes zero when the other is set (``dirty_ratio_handler`` and
``dirty_bytes_handler`` in mm/page-writeback.c)."""


def find(access: Access, wanted: Wanted) -> list[Found]:
    """One setting, in the namespace or of the whole kernel."""
    setting = Setting("sysctl", wanted.scope, wanted.name)
    present = read(access, setting)
    if present is None:
        raise LackingError("this kernel does not have it, or it cannot be read")
    if not settings.is_writable_on_node(access.namespace, wanted.name):
        raise LackingError("it can only be read")
    if (scope := settings.scope(wanted.name)) != wanted.scope:
        raise RefusedError(
            f"{wanted.name}: is of scope {scope} on this kernel, the profile says {wanted.scope}; "
            f"write `scope: {scope}`"
        )
    if wanted.name == DEFAULT_QUEUE_DISCIPLINE:
        access.require_queue_discipline(wanted.value)
    _refuse_what_unsets_another(access, wanted.name)
    return [Found(setting, present, " ".join(wanted.value.split()))]


def _refuse_what_unsets_another(access: Access, name: str) -> None:
    twin = _TWINS.get(name)
    value = read(access, Setting("sysctl", "node", twin)) if twin else None
    if value not in (None, "0"):
        raise RefusedError(
            f"{name}: setting it would make {twin}, which is {value}, zero, and it could not be "
            f"put back; set {twin} instead, or set {name} on the node for good"
        )


def read(access: Access, setting: Setting) -> str | None:
    """Value in force, its fields separated by one blank."""
    return settings.read_on_node(access.namespace, setting.name)


def write(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    settings.write_on_node(access.namespace, setting.name, value)


def find_congestion_control(access: Access, wanted: Wanted) -> list[Found]:
    """The default of new sockets, and before it the permission to choose it.

    Outside of the machine's own namespace only what is on the list of allowed ones can be chosen,
    which is needed for the way back, too.
    """
    if not _has_congestion_control(access, wanted.value):
        raise LackingError(f"this kernel has no TCP congestion control {wanted.value!r}")
    (default,) = find(access, Wanted("sysctl", "netns", CONGESTION_CONTROL, wanted.value))
    allowed = (read(access, Setting("sysctl", "node", ALLOWED)) or "").split()
    needed = [name for name in (default.present, default.intended) if name not in allowed]
    if not needed:
        return [default]
    names = " ".join(dict.fromkeys((*allowed, *needed)))
    return [*find(access, Wanted("sysctl", "node", ALLOWED, names)), default]


def _has_congestion_control(access: Access, name: str) -> bool:
    """Ask for it on a socket, which loads its module if it is one."""
    with netns.inside(access.namespace), socket.socket() as trial:
        try:
            trial.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
    return True
