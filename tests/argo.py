"""Reading rendered workflow templates as Argo does, for tests."""

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from workflows.render import RENDERED

Document = dict[str, Any]

LEAVES = ("script", "container", "resource")


def rendered(name: str) -> Document:
    """The first document of a rendered file."""
    document: Document = YAML(typ="safe").load((RENDERED / name).read_text(encoding="utf-8"))
    return document


def templates(document: Document) -> dict[str, Document]:
    """Templates by name."""
    return {template["name"]: template for template in document["spec"]["templates"]}


def tasks(template: Document) -> dict[str, Document]:
    """Tasks of a DAG by name; none of a leaf."""
    return {task["name"]: task for task in template.get("dag", {}).get("tasks", [])}


def parameters(node: Document, kind: str) -> dict[str, Document]:
    """Parameters among the ``arguments``, ``inputs`` or ``outputs`` of something, by name."""
    return {p["name"]: p for p in node.get(kind, {}).get("parameters", [])}


def texts(node: Any) -> Iterator[str]:
    """Every text below a node."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from texts(inner)
    elif isinstance(node, str):
        yield node


def argument_problems(document: Document) -> list[str]:
    """What Hera does not check: arguments of every task against the inputs of its template."""
    known = templates(document)
    found = []
    for template in known.values():
        for name, task in tasks(template).items():
            given = parameters(task, "arguments")
            inputs = parameters(known[task["template"]], "inputs")
            required = {n for n, i in inputs.items() if "value" not in i and "default" not in i}
            found += [f"{name}: unknown argument {n}" for n in sorted(given.keys() - inputs)]
            found += [f"{name}: missing argument {n}" for n in sorted(required - given.keys())]
            for n in sorted(given.keys() & inputs.keys()):
                enum, value = inputs[n].get("enum"), given[n]["value"]
                if enum and "{{" not in value and value not in enum:
                    found.append(f"{name}: {n}: {value} is not one of {', '.join(enum)}")
    return found


def reference_problems(document: Document) -> list[str]:
    """Names that refer to nothing: templates, tasks, parameters."""
    known = templates(document)
    spec = document["spec"]
    found = [
        f"spec: no template {spec[field]}"
        for field in ("entrypoint", "onExit")
        if field in spec and spec[field] not in known
    ]
    workflow = {f"workflow.parameters.{name}" for name in parameters(spec, "arguments")}
    workflow |= {f"workflow.{name}" for name in ("status", "name", "namespace", "uid")} | {"item"}
    workflow |= {
        f"workflow.outputs.parameters.{output['globalName']}"
        for template in known.values()
        for output in parameters(template, "outputs").values()
        if "globalName" in output
    }
    for name, template in known.items():
        inside = workflow | ({"retries"} if "retryStrategy" in template else set())
        inside |= {f"inputs.parameters.{n}" for n in parameters(template, "inputs")}
        inside |= {"inputs.parameters"} | {
            f"tasks.{task}.outputs.parameters.{output}"
            for task, of in tasks(template).items()
            for output in parameters(known.get(of["template"], {}), "outputs")
        }
        for text in texts(template):
            found += [f"{name}: {reference} is not there" for reference in used(text) - inside]
        found += _task_problems(name, template, known)
    return found


def used(text: str) -> set[str]:
    """What the tags of a text refer to: ``{{name}}``, or an expression, ``{{=toJson(name)}}``."""
    found = set(re.findall(r"\{\{([^={}][^{}]*)\}\}", text))
    for expression in re.findall(r"\{\{=(.*?)\}\}", text):
        found |= set(re.findall(r"\b(?:workflow|inputs|tasks|item)\b[\w.-]*", expression))
    return found


def _task_problems(name: str, template: Document, known: dict[str, Document]) -> list[str]:
    in_dag = tasks(template)
    called = {task["template"] for task in in_dag.values()}
    found = [f"{name}: no template {other}" for other in sorted(called - known.keys())]
    for task, of in in_dag.items():
        used = {word.partition(".")[0] for word in re.findall(r"[\w.-]+", of.get("depends", ""))}
        found += [f"{name}: {task} depends on {other}" for other in sorted(used - in_dag.keys())]
    targets = set(template.get("dag", {}).get("target", "").split())
    return found + [f"{name}: no target {target}" for target in sorted(targets - in_dag.keys())]
