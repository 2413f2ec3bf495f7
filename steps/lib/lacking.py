"""What a target or a plugin has not, so that a cell is planned as unsupported, with the reason."""

from steps.lib.models import (
    NO_SUCH_OBJECT,
    PATHS,
    SERVICE_ADDRESSES,
    Cell,
    PathName,
    Plugin,
    Stream,
    TargetSpec,
)

NOT_STATED = "the plugin's file does not say which devices carry the path, so it cannot be proven"


def path_lacks(target: TargetSpec, plugin: Plugin, path: PathName) -> str | None:
    """Why nothing can be measured on the path, or None."""
    return (
        _target_lacks(target, path)
        or plugin.unsupported.get(path)
        or (None if path in plugin.paths else NOT_STATED)
    )


def cell_lacks(target: TargetSpec, plugin: Plugin, cell: Cell) -> str | None:
    """Why the cell cannot be measured on its path, which can be, or None."""
    return (
        _family_lacks(target, plugin, cell)
        or _pairs_lack(target, cell)
        or _policy_lacks(plugin, cell)
        or _scale_lacks(target, plugin, cell)
    )


def _family_lacks(target: TargetSpec, plugin: Plugin, cell: Cell) -> str | None:
    """Why the cell cannot have the address family that it asks for, or None."""
    family = cell.traffic.family
    if target.kind == "kubernetes" and family not in target.families:
        return f"the campaign's `target.families` lack {family}"
    if family not in plugin.families:
        return f"the plugin's file states no addresses of family {family!r}"
    return None


def _target_lacks(target: TargetSpec, path: PathName) -> str | None:
    """Why the path does not exist on the target, whatever the plugin."""
    if PATHS[path].absent:
        return PATHS[path].absent
    if target.kind == "namespaces":
        served = PATHS[path].address in SERVICE_ADDRESSES
        return "the embedded target has no Services" if served else None
    if "external" not in PATHS[path].kinds:
        return None
    if target.external_client is None:
        return "the campaign names no `target.external_client`"
    server, reachable = PATHS[path].server, target.external_client.reachable
    if server is not None and server.kind == "external" and not reachable:
        return "pods do not reach it: the target's `external_client` says `reachable: false`"
    return None


def _pairs_lack(target: TargetSpec, cell: Cell) -> str | None:
    """Why so many pairs cannot run at once, or None."""
    traffic, path = cell.traffic, PATHS[cell.path]
    pairs = traffic.pairs if isinstance(traffic, Stream) else 1
    if pairs == 1:
        return None
    if {path.client.kind, (path.server or path.client).kind} != {"pod"}:
        return f"{pairs} pairs need pods at both ends, and path {cell.path} has one that is none"
    if pairs > target.pairs_max:
        return f"{pairs} pairs at once; the target's `pairs_max` is {target.pairs_max}"
    return None


def _policy_lacks(plugin: Plugin, cell: Cell) -> str | None:
    """Why the cell's policy cannot be in force, or None."""
    policy, path = cell.traffic.policy, PATHS[cell.path]
    if policy is None:
        return None
    if policy.kind not in plugin.policies:
        also = f", and {NO_SUCH_OBJECT[policy.kind]}" if policy.kind in NO_SUCH_OBJECT else ""
        return f"the plugin's file states no policy of kind {policy.kind!r}{also}"
    if (path.client.kind, path.server and path.server.kind) != ("pod", "pod"):
        return f"a policy is between two pods, and path {cell.path} is not"
    if path.address == "node":
        return f"on path {cell.path} the client's address may be translated to a node's"
    return None


def _scale_lacks(target: TargetSpec, plugin: Plugin, cell: Cell) -> str | None:
    """Why there cannot be more Services or pods beside, or None."""
    scale = cell.traffic.scale
    if scale is None:
        return None
    has_services = target.kind == "kubernetes" or getattr(plugin.install, "rules", None)
    if scale.services and not has_services:
        return "the embedded target has no Services, and the plugin states no `rules` for them"
    if scale.pods and plugin.install.mechanism == "host-network":
        return "the plugin makes no pods, so none can be started"
    return None
