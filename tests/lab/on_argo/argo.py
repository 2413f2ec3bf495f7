"""Argo as its users meet it: by its server's API, as the UI speaks it, and by its command."""

import copy
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes import config
from kubernetes.client import AuthorizationV1Api

from lab import node
from lab.layout import Lab
from lab.programs import program
from steps.lib.database import open_database
from steps.lib.store import open_store
from steps.lib.targets.kubernetes.api import NAMESPACE as NAMESPACE_ON_TARGET
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.namespaces.programs import output
from tests.lab.labs import MGMT, TARGET

NAMESPACE = "argo"
STORE = "s3://cnibench"
ENDED = ("Succeeded", "Failed", "Error")
END_TIMEOUT_S = 600.0

Document = dict[str, Any]


@dataclass(frozen=True)
class Argo:
    """The Argo of a lab."""

    lab: Lab

    @cached_property
    def environment(self) -> dict[str, str]:
        """What `lab status` tells people to read into their shell."""
        text = (self.lab.folder(MGMT) / "environment.sh").read_text()
        return dict(re.findall(r"^export (\w+)='(.*)'$", text, re.MULTILINE))

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Have stores find the lab's MinIO, as in the shell of who read that file into it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> Document:
        """Ask Argo's server; what it answers, with the status as ``status_code``."""
        url = f"http://{self.environment['ARGO_SERVER']}{path}"
        headers = {"Authorization": token or self.environment["ARGO_TOKEN"]}
        answer = urllib3.request(method, url, json=body, headers=headers, timeout=30)
        document: Document = json.loads(answer.data or "{}")
        return document | {"status_code": answer.status}

    def artifact(self, workflow: Document, node: Document, name: str) -> urllib3.BaseHTTPResponse:
        """A file that a node left, as the UI fetches it."""
        place = f"{workflow['metadata']['name']}/{node['id']}/outputs/{name}"
        url = (
            f"http://{self.environment['ARGO_SERVER']}/artifact-files/{NAMESPACE}/workflows/{place}"
        )
        headers = {"Authorization": self.environment["ARGO_TOKEN"]}
        return urllib3.request("GET", url, headers=headers, timeout=30)

    def form(self, template: str) -> Document:
        """A template as the UI reads it to show its form."""
        found = self.request("GET", f"/api/v1/workflow-templates/{NAMESPACE}/{template}")
        assert found["status_code"] == 200, found
        return found

    def submit(self, template: str, **chosen: str) -> str:
        """Send off a form as the UI does; the name of the workflow."""
        made = self.send(template, **chosen)
        assert made["status_code"] == 200, made
        return str(made["metadata"]["name"])

    def send(self, template: str, **chosen: str) -> Document:
        """What the server answers to a form with these fields filled, the others as they come."""
        form = self.form(template)
        parameters = form["spec"].get("arguments", {}).get("parameters", [])
        fields = {p["name"]: p["value"] for p in parameters}
        assert not chosen.keys() - fields.keys(), "the form has no such field"
        filled = fields | chosen
        options = {
            "parameters": [f"{name}={value}" for name, value in filled.items()],
            "entryPoint": form["spec"]["entrypoint"],
            "labels": "submit-from-ui=true",
        }
        body = {
            "namespace": NAMESPACE,
            "resourceKind": "WorkflowTemplate",
            "resourceName": template,
            "submitOptions": options,
        }
        return self.request("POST", f"/api/v1/workflows/{NAMESPACE}/submit", body)

    def workflow(self, name: str) -> Document:
        """A workflow with its status."""
        found = self.request("GET", f"/api/v1/workflows/{NAMESPACE}/{name}")
        assert found["status_code"] == 200, found
        return found

    def end(self, name: str, timeout_s: float = END_TIMEOUT_S) -> Document:
        """The workflow when it has ended."""
        self.until(lambda: self.phase(name) in ENDED, f"{name} ends", timeout_s)
        return self.workflow(name)

    def phase(self, name: str) -> str:
        return str(self.workflow(name).get("status", {}).get("phase", ""))

    def blocks(self, campaign: str) -> list[Document]:
        """The workflows that a campaign's workflow has started, in order."""
        owned = [w for w in self._all() if campaign in _owners(w)]
        ordered = sorted(owned, key=lambda w: str(w["metadata"]["creationTimestamp"]))
        return [self.workflow(w["metadata"]["name"]) for w in ordered]

    def names(self) -> set[str]:
        """All workflows."""
        return {str(w["metadata"]["name"]) for w in self._all()}

    def _all(self) -> list[Document]:
        return self.request("GET", f"/api/v1/workflows/{NAMESPACE}")["items"] or []

    def tell(self, name: str, verb: str) -> None:
        """Stop, terminate, resume."""
        done = self.request("PUT", f"/api/v1/workflows/{NAMESPACE}/{name}/{verb}", {"name": name})
        assert done["status_code"] == 200, done

    def until(
        self,
        answer: Callable[[], bool],
        what: str,
        timeout_s: float = 240.0,
        every_s: float = 1.0,
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not answer():
            assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
            time.sleep(every_s)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The command ``argo``, as a person has it set up."""
        return _run([str(program("argo")), *words], os.environ | self.environment)

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """What kubectl prints, on the management cluster; it must succeed."""
        options = [f"--kubeconfig={self.lab.kubeconfig}", f"--context={self.lab.context(MGMT)}"]
        done = _run([str(program("kubectl")), *options, *words], dict(os.environ), given)
        assert done.returncode == 0, f"kubectl {words} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def may(self, account: str, verb: str, resource: str) -> bool:
        """Whether a service account of Argo's namespace may do something there."""
        name, _, part = resource.partition("/")
        asked = {
            "user": f"system:serviceaccount:{NAMESPACE}:{account}",
            "resourceAttributes": {
                "namespace": NAMESPACE,
                "group": "argoproj.io" if "workflow" in name else "",
                "verb": verb,
                "resource": name,
                "subresource": part,
            },
        }
        answer = _reviewer(self.lab).create_subject_access_review({"spec": asked})
        return bool(answer.status.allowed)

    def get(self, *words: str) -> Document:
        """An object, or a list of them."""
        found: Document = json.loads(self.kubectl("get", "-n", NAMESPACE, "-o", "json", *words))
        return found


LONG = os.environ.get("CNIBENCH_LAB_LONG") == "1"
"""Whether tests may take minutes more: they wait for what a person would not wait for each day."""

TIMING = ("duration: ", "cpu-window: ", "intervals-enough: ")
"""Reasons that a busy machine gives to short cells."""

SMALL = {"plugin": "bridge-routes", "matrix": "smoke", "repeats": "1"}
"""Three cells of a second."""


def in_mid_cell(
    argo: Argo, api: Api, chosen: dict[str, str], *, stored: int = 0, stopped: bool = False
) -> tuple[str, str]:
    """A campaign of which a cell is being measured: its name, and that of its block's workflow.

    Args:
        argo: Where it is run.
        api: The target's.
        chosen: In the form.
        stored: How many cells of the campaign must be stored before.
        stopped: Whether it is stopped as soon as its block is there.
    """
    found = in_the_middle(argo, "run-cells", chosen, stopped=stopped)
    cells = f"select count(*) from measurements where campaign = '{chosen['name']}'"
    if stored:
        argo.until(lambda: select(argo, cells) >= [(stored,)], f"{stored} cells are stored")
    client = (api.core.read_namespaced_pod, "cnibench-client", NAMESPACE_ON_TARGET)
    argo.until(lambda: api.get(*client) is not None, "a cell is measured", every_s=0.1)
    return found


def in_the_middle(
    argo: Argo, stage: str, chosen: dict[str, str], *, stopped: bool = False
) -> tuple[str, str]:
    """A campaign of which a stage's pod runs: its name, and that of its block's workflow.

    With ``stopped`` it is stopped as soon as its block is there.
    """
    campaign = argo.submit("cnibench-plugin", **SMALL | chosen)
    argo.until(lambda: len(argo.blocks(campaign)) == 1, "a block starts")
    block = argo.blocks(campaign)[0]["metadata"]["name"]
    if stopped:
        argo.tell(campaign, "stop")

    def runs() -> bool:
        return any(n["phase"] == "Running" for n in nodes(argo.workflow(block), stage))

    argo.until(runs, f"a pod of {stage} runs")
    return campaign, block


def select(argo: Argo, statement: str) -> list[tuple[Any, ...]]:
    """What the store answers."""
    with argo.at_hand():
        return open_database(open_store(STORE)).execute(statement).fetchall()


def tcp_sack(argo: Argo) -> list[str]:
    """A setting as the nodes of the target have it."""
    pids = [node.init_pid(argo.lab, host) for host in TARGET.nodes]
    file = "/proc/sys/net/ipv4/tcp_sack"
    return [output(["nsenter", f"--net=/proc/{p}/ns/net", "cat", file]).strip() for p in pids]


def nodes(workflow: Document, template: str) -> list[Document]:
    """Pods of a workflow that ran a template, in the order in which they started."""
    found = workflow.get("status", {}).get("nodes", {}).values()
    pods = [n for n in found if n.get("templateName") == template and n["type"] == "Pod"]
    return sorted(pods, key=lambda n: str(n["startedAt"]))


def messages(workflow: Document) -> str:
    """All that a workflow and its nodes say."""
    found = [workflow["status"].get("message", "")]
    found += [n.get("message", "") for n in workflow["status"].get("nodes", {}).values()]
    return "\n".join(filter(None, found))


@contextmanager
def without(argo: Argo, kind: str, name: str) -> Iterator[Document]:
    """An object of the pipeline taken away for a while; what it was, to make another of it."""
    was = argo.get(kind, name)
    for field in ("resourceVersion", "uid", "creationTimestamp"):
        del was["metadata"][field]
    argo.kubectl("delete", kind, "-n", "argo", name)
    try:
        yield copy.deepcopy(was)
    finally:
        argo.kubectl("apply", "-n", "argo", "-f", "-", given=json.dumps(was))


@cache
def _reviewer(lab: Lab) -> Any:
    settings: Any = config
    context = {"config_file": str(lab.kubeconfig), "context": lab.context(MGMT)}
    return AuthorizationV1Api(settings.new_client_from_config(**context))


def _owners(workflow: Document) -> list[str]:
    return [o["name"] for o in workflow["metadata"].get("ownerReferences", [])]


def _run(
    command: list[str], environment: dict[str, str], given: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


RENDERED = Path(__file__).parents[3] / "workflows" / "rendered"
