"""What the workflow templates share: parameters, wiring, labels, locks, access to the outside."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hera.workflows import Input, Parameter, Resource, RetryStrategy, Task
from hera.workflows import models as m

from steps.lib import pod
from steps.pipeline import Stage, input_model

STORE_SECRET = "cnibench-store"
"""Secret whose entries become environment variables of every stage: see ``open_store``."""

KUBECONFIG_MOUNT = "/run/cnibench/target"
"""Where a stage finds the Secret ``target-<name>``; its entry ``kubeconfig`` leads to it."""

HOME = "/tmp"
"""Of a user without one: programs keep what they cache there."""

USER = 8737
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What the pod security level "restricted" asks for. Nodes are touched on the target only."""

STARTING = "could not find the requested resource|cannot get resource"
"""What an API server that has just started says of an object that is there, as a regular
expression: 404 until it knows the definitions of custom resources, 403 until it knows the roles. Of
one that is gone it says that by its name, so that a wait for that still ends."""

FOLLOWED = "failure condition|has been deleted while|than the specified deadline"
"""What is said, as a regular expression, when the workflow that a leaf follows failed or is gone,
or was waited for long enough. Else its pod was lost or ended, or the API server took nothing from
it, which Argo's executor tries for 0.3 s alone; how the workflow ended is not known then."""

FOLLOW_RETRIES = 5
"""A pod takes seconds to start, and none starts while the API server is away."""

ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")
"""Every way in which a task can have ended."""

RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}


def parameters(model: type[Input], names: Iterable[str]) -> list[Parameter]:
    """Parameters of a template, as the stages themselves describe their inputs."""
    known = descriptions(model)
    return [Parameter(name=name, description=known[name]) for name in names]


def descriptions(model: type[Input]) -> dict[str, str]:
    """What a stage says about its inputs, for the submit form."""
    return {
        name: str(parameter.description)
        for name, info in model.model_fields.items()
        for parameter in info.metadata
        if isinstance(parameter, Parameter)
    }


def workflow_parameter(name: str) -> str:
    """Reference to a parameter of the workflow."""
    return f"{{{{workflow.parameters.{name}}}}}"


def task(stage: Stage, known: Mapping[str, str]) -> Task:
    """A task of the DAG that is being made, its arguments found by name.

    Args:
        stage: What it runs.
        known: References by name: parameters, and outputs of earlier stages.

    Raises:
        LookupError: the stage needs something that is not known.
    """
    known = dict(known)
    fan_out = {}
    if stage.for_each is not None:
        fan_out = {"with_param": known[stage.for_each.output]}
        known[stage.for_each.item] = "{{item}}"
    names = input_model(stage).model_fields
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise LookupError(
            f"stage {stage.name} needs {', '.join(unknown)}, which is neither its item, nor an "
            "output of an earlier stage, nor a parameter of the workflow"
        )
    made: Task = stage.run(name=stage.name, arguments={n: known[n] for n in names}, **fan_out)
    return made


def ended(task_name: str, states: Sequence[str] = ENDED) -> str:
    """That a task has ended in one of these ways, for ``depends``."""
    return " || ".join(f"{task_name}.{state}" for state in states)


def run_workflow(
    name: str, template: str, item: str, arguments: Mapping[str, str], deadline_s: int
) -> Any:
    """A leaf that has a workflow run from another template, and waits for its end.

    However often it is tried, an item's workflow is one: its name is made of this workflow and the
    item. The item is the leaf's only input, since Argo keeps those of each pod and of each retry.

    Args:
        name: Of the leaf.
        template: The WorkflowTemplate to run.
        item: The input that tells the leaf's pods apart.
        arguments: The template's parameters by name, as expressions.
        deadline_s: Limit of the wait; the other workflow goes on after it.
    """
    return Resource(
        name=name,
        action="apply",
        inputs=[Parameter(name=item)],
        manifest=_manifest(template, f"inputs.parameters.{item}", arguments),
        set_owner_reference=True,
        service_account_name="cnibench-campaign",
        # Argo's executor takes these for the end of what it waits for, unless told their words.
        pod_spec_patch=_environment_of_main({"TRANSIENT_ERROR_PATTERN": STARTING}),
        success_condition="status.phase == Succeeded",
        failure_condition="status.phase in (Failed, Error)",
        retry_strategy=RetryStrategy(
            limit=str(FOLLOW_RETRIES),
            retry_policy="Always",
            expression=f"not (lastRetry.message matches '{FOLLOWED}')",
        ),
        active_deadline_seconds=deadline_s,
    )


def _environment_of_main(values: Mapping[str, str]) -> str:
    environment = [{"name": name, "value": value} for name, value in values.items()]
    return json.dumps({"containers": [{"name": "main", "env": environment}]})


def _manifest(template: str, item: str, arguments: Mapping[str, str]) -> str:
    """The workflow to run. ``toJson`` quotes values, so that any text is valid YAML."""
    # Argo labels pods with the name: at most 63 characters.
    begin = "sprig.trunc(52, sprig.replace('.', '-', workflow.name))"
    end = f"sprig.trunc(10, sprig.sha256sum(workflow.uid + {item}))"
    values = "".join(
        f"      - name: {name}\n        value: {{{{=toJson({expression})}}}}\n"
        for name, expression in arguments.items()
    )
    return (
        "apiVersion: argoproj.io/v1alpha1\n"
        "kind: Workflow\n"
        "metadata:\n"
        f"  name: {{{{={begin} + '-' + {end}}}}}\n"
        "spec:\n"
        "  workflowTemplateRef:\n"
        f"    name: {template}\n"
        "  arguments:\n"
        "    parameters:\n" + values
    )


def exclusive(name: str) -> m.Synchronization:
    """One workflow at a time, until its exit handler has ended."""
    return m.Synchronization(mutexes=[m.Mutex(name=name)])


def titles(title: str, description: str) -> dict[str, str]:
    """Annotations that the UI shows as title and description."""
    return {
        "workflows.argoproj.io/title": title,
        "workflows.argoproj.io/description": description,
    }


def metadata(title: str, description: str, labels: dict[str, str]) -> m.WorkflowMetadata:
    """Title, description and labels of each workflow made from a template.

    Args:
        title: May refer to workflow parameters.
        description: Likewise.
        labels: Name to expression; the UI shows them as columns. A value that is not a valid label
            ends the workflow with that value as its message.
    """
    return m.WorkflowMetadata(
        annotations=titles(title, description),
        labels_from={
            f"cnibench/{name}": m.LabelValueFrom(expression=text) for name, text in labels.items()
        },
    )


THIS = "workflow.namespace + '/' + workflow.name + '/' + workflow.uid"
THIS_WORKFLOW = f"{{{{={THIS}}}}}"


def finished(document: dict[str, Any], target: str, holder: str = THIS_WORKFLOW) -> dict[str, Any]:
    """Give every stage its rights: the store, and the target if it asks for one.

    Nothing on this cluster. Who leaves a target asks for no store, but puts the end of an
    interrupted block on record.

    Args:
        document: The template.
        target: Reference to the name of the target.
        holder: In whose name it is held; workflows of one holder take it over from each other.
    """
    spec = document["spec"]
    spec["securityContext"] = POD_SECURITY
    secret = {"secretName": f"target-{target}", "optional": True}
    spec["volumes"] = [{"name": "target", "secret": secret}]
    for template in (t for t in spec["templates"] if "script" in t):
        script = template["script"]
        if "retryStrategy" in template:
            script["env"].append({"name": pod.RETRIES, "value": "{{retries}}"})
        script["env"] += [
            {"name": "HOME", "value": HOME},
            {"name": pod.HOLDER, "value": holder},
        ]
        script["envFrom"] = [{"secretRef": {"name": STORE_SECRET, "optional": True}}]
        script["volumeMounts"] = []
        inputs = {parameter["name"] for parameter in template["inputs"]["parameters"]}
        if "target" in inputs:
            script["env"].append({"name": "KUBECONFIG", "value": f"{KUBECONFIG_MOUNT}/kubeconfig"})
            mount = {"name": "target", "mountPath": KUBECONFIG_MOUNT, "readOnly": True}
            script["volumeMounts"].append(mount)
        script["securityContext"] = CONTAINER_SECURITY
        script["resources"] = RESOURCES
    return document
