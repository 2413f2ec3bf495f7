"""Places where campaigns run, behind one protocol."""

from functools import cache

from steps.lib import tools
from steps.lib.errors import InputError
from steps.lib.models import TargetSpec
from steps.lib.targets.namespaces import NamespacesTarget
from steps.lib.targets.protocol import Target


@cache
def open_target(spec: TargetSpec) -> Target:
    """Attach to a target; nothing is made or changed.

    Raises:
        InputError: this version has no such kind of target, or its tools are missing.
    """
    if spec.kind != "namespaces":
        raise InputError(f"target.kind: {spec.kind!r} is not there yet; write 'namespaces'")
    return NamespacesTarget(spec, tools.toolbox_of(spec))
