"""How the external client's tools run: here, for which no right is needed, or in a namespace."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from steps.lib import tools
from steps.lib.errors import InputError
from steps.lib.models import TargetSpec
from steps.lib.targets import proc
from steps.lib.targets.namespaces import cpu, netns, processes
from steps.lib.targets.namespaces.cgroups import Groups, kill_all, of_processes
from steps.lib.targets.namespaces.processes import Running


class Tools(Protocol):
    """Tools of the external client, in its ``namespace``; None is the one that we are in."""

    @property
    def namespace(self) -> str | None:
        """Where they run.

        Raises:
            InputError: there is no such place.
        """

    def start(self, command: Sequence[str], group: str) -> Running:
        """Start one; it dies with the thread that calls this."""

    def usage_s(self) -> Mapping[str, float]:
        """Their CPU seconds, by group."""

    def throttled(self) -> Mapping[str, int]:
        """How often each control group had used up its share of CPU; none before a tool starts."""

    def take_away(self) -> None:
        """Kill them, also those of a killed run."""


class Nowhere:
    """A target without an external client."""

    @property
    def namespace(self) -> str | None:
        """There is none."""
        raise InputError(
            "target.external_client is missing: external paths need a client outside of the "
            "cluster; write `external_client: {}` to use the place where the stages run"
        )

    def start(self, command: Sequence[str], group: str) -> Running:
        """Nothing can be started."""
        raise InputError(f"{command[0]} cannot run as {group}: there is no external client")

    def usage_s(self) -> Mapping[str, float]:
        """Nothing is used."""
        return {}

    def throttled(self) -> Mapping[str, int]:
        """Nothing is held back."""
        return {}

    def take_away(self) -> None:
        """Nothing is there."""


class InNamespace:
    """Tools in a network namespace of this machine and in control groups of their own."""

    def __init__(self, spec: TargetSpec, name: str) -> None:
        self._spec, self._name = spec, name
        self._groups = Groups(f"cnibench-{spec.name}-external")
        self._has_started = False

    @property
    def namespace(self) -> str | None:
        """The namespace by name."""
        if not netns.is_whole(self._name):
            raise InputError(
                "target.external_client.namespace: this machine has no network namespace "
                f"{self._name!r}"
            )
        return self._name

    def start(self, command: Sequence[str], group: str) -> Running:
        """Start one in its group."""
        toolbox = tools.toolbox_of(self._spec)
        self._has_started = True
        return processes.start(self._name, toolbox, self._groups, group, command)

    def usage_s(self) -> Mapping[str, float]:
        """What the groups used, to the nanosecond."""
        return self._groups.usage_s()

    def throttled(self) -> Mapping[str, int]:
        """Of every group that a tool is or was in, also where it has just ended."""
        if not self._has_started:
            return {}
        return proc.throttled(self._groups.limiting(self._groups.processes()))

    def take_away(self) -> None:
        """Kill what is in the groups, and remove them."""
        kill_all(self._groups.processes)
        self._groups.remove()
        self._has_started = False


@dataclass
class _Started:
    group: str
    process: Running
    used_s: float = 0.0


class Here:
    """Tools beside us, with our rights: in the pod of a stage those of nobody in particular.

    They die with us, so a killed run leaves none. Their CPU is that of their processes, which the
    kernel tells to 10 ms: making control groups takes rights that a pod has not.
    """

    namespace: str | None = None

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        self._started: list[_Started] = []

    def start(self, command: Sequence[str], group: str) -> Running:
        """Start one.

        Raises:
            InputError: the tool box is another root file system, which takes root to enter.
        """
        if self._spec.tools == "box" and os.geteuid() != 0 and not tools.toolbox_is_ours():
            raise InputError(
                "target.external_client: the tool box is entered as root only; run cnibench as "
                "root, or write `tools: host` to use this machine's own programs"
            )
        process = processes.start_here(tools.toolbox_of(self._spec), command)
        self._started.append(_Started(group, process))
        return process

    def usage_s(self) -> Mapping[str, float]:
        """What their processes used; of one that was waited for what was seen last."""
        living = {pid: each for each in self._started if (pid := each.process.pid) is not None}
        for pid, used_s in (cpu.used_s(living) if living else {}).items():
            living[pid].used_s = used_s
        found: dict[str, float] = {}
        for each in self._started:
            found[each.group] = found.get(each.group, 0.0) + each.used_s
        return found

    def throttled(self) -> Mapping[str, int]:
        """Of every group that we are in, and the tools with us."""
        return proc.throttled(of_processes({os.getpid()})) if self._started else {}

    def take_away(self) -> None:
        """Kill those that we started."""
        while self._started:
            self._started.pop().process.stop(0.0)


def tools_of(spec: TargetSpec) -> Tools:
    """The tools of the external client of a target."""
    if spec.external_client is None:
        return Nowhere()
    name = spec.external_client.namespace
    return Here(spec) if name is None else InNamespace(spec, name)
