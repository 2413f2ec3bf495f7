"""Small campaigns on the lab's target, run as a person would run them, and what they stored."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.layout import Lab
from steps.lib import sources
from steps.lib.catalog import Job
from steps.lib.database import open_database
from steps.lib.executor import Event, Report, Start, run_campaign
from steps.lib.models import Matrix, Plugin
from steps.lib.plan import make_plan
from steps.lib.store import open_store
from tests.jobs import job, matrix, plugin
from tests.lab.clusters import specification

NORMAL = "bridge-routes"
"""A real plugin that is ready after two seconds."""

FAST = "host-network"
"""One that is ready at once, for what does not depend on a pod network."""

STAND_IN = "stand-in"
"""Namespace of our own plugins, which are made to fail."""

TOOLBOX = "cnibench/toolbox:lab"


def lab_job(lab: Lab, *plugins: Plugin, of: Matrix | None = None) -> Job:
    """One second of traffic between the nodes for each plugin, in this order."""
    small = job((NORMAL,), of=of or matrix())
    names = tuple(each.name for each in plugins)
    target = {"target": specification(lab), "plugins": names}
    jobs = (_with(small, target | {"seed": seed}, plugins) for seed in range(1, 100))
    return next(j for j in jobs if tuple(b.plugin.name for b in make_plan(j).blocks) == names)


def stand_in(name: str, container: dict[str, Any], ready_s: int = 6) -> Plugin:
    """A plugin that is one DaemonSet, which lies in the mirror as any manifest."""
    labels = {"app": name}
    container = {"name": "daemon", "imagePullPolicy": "IfNotPresent", **container}
    spec = {
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": STAND_IN},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STAND_IN}}
    return _plugin(name, [namespace, daemon_set], ready_s)


@dataclass
class Run:
    """A campaign in a store of its own; what it said while it ran."""

    folder: Path
    events: list[Event | Start] = field(default_factory=list)

    def of(self, small: Job, report: Report = lambda _: None) -> list[str]:
        """Run it; ids of the blocks that failed."""

        def both(event: Event | Start) -> None:
            self.events.append(event)
            report(event)

        return run_campaign(small, str(self.folder), both)

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask what was stored."""
        return open_database(open_store(str(self.folder))).execute(statement).fetchall()

    def blocks(self) -> dict[str, tuple[str, str]]:
        """Status and reason of the block of each plugin."""
        rows = self.select("select plugin, status, coalesce(reason, '') from blocks order by all")
        return {name: (status, reason) for name, status, reason in rows}

    def cells(self) -> dict[str, tuple[str, str]]:
        """Status and reason of each measurement, by the identifier of its cell."""
        rows = self.select("select cell, status, coalesce(reason, '') from measurements")
        assert len(rows) == len({cell for cell, *_ in rows})
        return {cell: (status, reason) for cell, status, reason in rows}

    def said(self, stage: str) -> list[str]:
        """How a stage ended, each time."""
        events = [e for e in self.events if isinstance(e, Event) and e.cell is None]
        return [str(e.status) for e in events if e.stage == stage and e.status is not None]


def _with(small: Job, changes: dict[str, Any], plugins: tuple[Plugin, ...]) -> Job:
    campaign = small.campaign.model_copy(update=changes)
    return small.model_copy(update={"campaign": campaign, "plugins": plugins})


def _plugin(name: str, objects: list[dict[str, Any]], ready_s: int) -> Plugin:
    """The plugin of some objects; its other data is that of a real one."""
    text = "\n---\n".join(json.dumps(body) for body in objects)
    sources.mirror().mkdir(parents=True, exist_ok=True)
    file = sources.mirror() / ".written.yaml"
    file.write_text(text)
    origin = {
        "name": name,
        "version": "v1",
        "url": f"https://stand-in.invalid/{name}.yaml",
        "digest": sources.add_to_mirror(file),
    }
    return Plugin.model_validate(
        plugin(NORMAL).model_dump()
        | {
            "name": name,
            "source": origin,
            "targets": ["kubernetes"],
            "install": {"mechanism": "manifest", "namespace": STAND_IN},
            "ready": {"timeout_s": ready_s, "daemonsets": [f"{STAND_IN}/{name}"]},
            "removes": {},
        }
    )
