"""Places where campaigns run, behind one protocol."""

from functools import cache

from steps.lib import tools
from steps.lib.models import TargetSpec
from steps.lib.targets.protocol import Target


@cache
def open_target(spec: TargetSpec) -> Target:
    """Attach to a target; nothing is made or changed.

    Raises:
        InputError: its tools are missing, or the kubeconfig has no such context.
    """
    # Each brings clients and libraries of its own, of which a process needs one set.
    if spec.kind == "kubernetes":
        from steps.lib.targets.kubernetes.target import KubernetesTarget

        return KubernetesTarget(spec)
    from steps.lib.targets.namespaces.target import NamespacesTarget

    return NamespacesTarget(spec, tools.toolbox_of(spec))
