"""What is installed on a cluster, as it is remembered there, and which pods are the plugin's."""

from collections.abc import Mapping

from steps.lib.models import Applied, Model, Plugin
from steps.lib.targets.kubernetes.node_commands import CleanUp
from steps.lib.targets.kubernetes.node_marks import Marks
from steps.lib.targets.kubernetes.objects import Reference

WORKLOADS = ("DaemonSet", "Deployment", "Job", "StatefulSet")
"""Kinds whose pods are where they are; a plugin's roles may be in anybody's namespace."""


class Installed(Model):
    """What was installed; written before the first change, so that a crash can be undone."""

    install_id: str
    plugin: Plugin
    version: str
    objects: tuple[Reference, ...] = ()
    commands: tuple[CleanUp, ...] = ()
    settings: Mapping[str, Mapping[str, str]] = {}
    """By node: those that the plugin is known to change, as they were before."""
    marks: Mapping[str, Marks] = {}
    """By node: what stood there of what the plugin's removal takes away."""

    @property
    def namespaces(self) -> set[str]:
        """Where pods are the plugin's: an operator makes its workloads in another namespace."""
        ready, install = self.plugin.ready, self.plugin.install
        found = {each.partition("/")[0] for each in (*ready.daemonsets, *ready.deployments)}
        found |= {each.name for each in self.objects if each.kind == "Namespace"}
        workloads = (each for each in self.objects if each.kind in WORKLOADS)
        found |= {each.namespace for each in workloads if each.namespace}
        return found | ({install.namespace} if isinstance(install, Applied) else set())

    @property
    def workloads(self) -> set[str]:
        """The plugin's own, ``<namespace>/<name>``; their pods may be in anybody's namespace."""
        found = {*self.plugin.ready.daemonsets, *self.plugin.ready.deployments}
        return found | {f"{o.namespace}/{o.name}" for o in self.objects if o.kind in WORKLOADS}
