"""A plugin's own clean-up of a node, run in its own image after its pods are gone."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import JsonValue

from steps.lib.afterwards import afterwards
from steps.lib.errors import InputError, RefusedError
from steps.lib.models import Model, NodeCommand
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api
from steps.lib.targets.kubernetes.readiness import pod_says

NAME = "clean-up"
POLL_S = 0.5
KEPT_VOLUMES = ("hostPath", "emptyDir")
"""What needs neither the plugin's namespace nor its objects."""


class CleanUp(Model):
    """A command with the pod that runs it, kept from the time when the plugin was installed."""

    title: str
    pod_spec: dict[str, JsonValue]
    timeout_s: int


def prepared(commands: Iterable[NodeCommand], objects: Sequence[dict[str, Any]]) -> list[CleanUp]:
    """Make each command's pod from the workload that it names.

    Raises:
        InputError: no such workload or container among the plugin's objects.
    """
    return [_prepared(command, objects) for command in commands]


def run_on(api: Api, node: str, clean_up: CleanUp) -> None:
    """Run one on a node and wait for its end.

    Raises:
        RefusedError: it failed, or did not end in time; with its last words.
    """
    name = f"{NAME}-{node}"
    body = {
        "metadata": {"name": name, "labels": PART_OF},
        "spec": clean_up.pod_spec | {"nodeName": node},
    }

    def delete() -> None:
        api.get(api.core.delete_namespaced_pod, name, NAMESPACE, grace_period_seconds=0)

    delete()
    pods.create(api, body)
    with afterwards(delete, f"pod={name} could not be deleted"):
        _wait(api, name, node, clean_up)


def _prepared(command: NodeCommand, objects: Sequence[dict[str, Any]]) -> CleanUp:
    namespace, _, name = command.workload.partition("/")
    for body in objects:
        metadata = body["metadata"]
        if (metadata.get("namespace"), metadata["name"]) != (namespace, name):
            continue
        template = body.get("spec", {}).get("template", {}).get("spec", {})
        for container in template.get("containers", []):
            if container["name"] == command.container:
                return _clean_up(command, template, container)
    raise InputError(
        f"removes.commands: the plugin has no workload {command.workload} with a container "
        f"{command.container!r}"
    )


def _clean_up(command: NodeCommand, template: dict[str, Any], container: dict[str, Any]) -> CleanUp:
    volumes = [v for v in template.get("volumes", []) if any(k in v for k in KEPT_VOLUMES)]
    names = {v["name"] for v in volumes}
    mounts = [m for m in container.get("volumeMounts", []) if m["name"] in names]
    environment = [e for e in container.get("env", []) if "valueFrom" not in e]
    spec: dict[str, JsonValue] = {
        "hostNetwork": True,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "volumes": volumes,
        "containers": [
            {
                "name": NAME,
                "image": container["image"],
                "imagePullPolicy": "IfNotPresent",
                "command": list(command.command),
                "env": environment,
                "volumeMounts": mounts,
                "securityContext": {"privileged": True},
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    title = " ".join(command.command)
    return CleanUp(title=title, pod_spec=spec, timeout_s=command.timeout_s)


def _wait(api: Api, name: str, node: str, clean_up: CleanUp) -> None:
    deadline = time.monotonic() + clean_up.timeout_s
    while True:
        pod = api.call(api.core.read_namespaced_pod, name, NAMESPACE)
        if pod.status.phase == "Succeeded":
            return
        late = time.monotonic() > deadline
        if late or pod.status.phase == "Failed":
            said = "; ".join(pod_says(api, pod))
            how = f"did not end in {clean_up.timeout_s} s" if late else "failed"
            raise RefusedError(f"{node}: clean-up {clean_up.title!r} {how}: {said}")
        time.sleep(POLL_S)
