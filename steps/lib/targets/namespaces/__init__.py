"""The embedded target: network namespaces of this machine as nodes, reference plugins by CNI."""

from steps.lib.targets.namespaces.target import NamespacesTarget

__all__ = ["NamespacesTarget"]
