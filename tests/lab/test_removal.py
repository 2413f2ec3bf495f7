"""Removing what hangs: plugins that cannot run here, by stand-ins of the kinds they are made of."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Cleanup, ObjectPattern
from steps.lib.rendering import load
from steps.lib.targets.kubernetes import applying, evacuation
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.applying import apply_all, delete_all
from steps.lib.targets.kubernetes.node_marks import Marks, present_marks, remove_marks
from steps.lib.targets.kubernetes.objects import read, reference
from tests.lab.clusters import daemon_set

pytestmark = pytest.mark.lab

GROUP = "standin.cnibench.io"
FINALIZER = f"{GROUP}/protector"

OBJECTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: stand-in}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gizmos.{GROUP}}}
spec:
  group: {GROUP}
  scope: Cluster
  names: {{plural: gizmos, singular: gizmo, kind: Gizmo}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: stand-in}}
data: {{colour: blue}}
---
apiVersion: {GROUP}/v1
kind: Gizmo
metadata: {{name: first, finalizers: [{FINALIZER}]}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: stand-in}}
webhooks:
  - name: gizmos.{GROUP}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    timeoutSeconds: 2
    rules: [{{apiGroups: [{GROUP}], apiVersions: [v1], operations: ["*"], resources: [gizmos]}}]
    clientConfig: {{service: {{namespace: stand-in, name: gone}}}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1.dead.{GROUP}}}
spec:
  group: dead.{GROUP}
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {{namespace: stand-in, name: gone}}
"""

FIRST = (
    ObjectPattern(
        api_version="admissionregistration.k8s.io/v1",
        kind="ValidatingWebhookConfiguration",
        name="stand-in",
    ),
    ObjectPattern(api_version="apiregistration.k8s.io/v1", kind="APIService", name=f"*.{GROUP}"),
)


@pytest.fixture
def objects(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The stand-in's objects, applied; whatever a test leaves of them is taken away by force."""
    monkeypatch.setattr(applying, "STRIPPED_AFTER_S", 3.0)
    (tmp_path / "stand-in.yaml").write_text(OBJECTS)
    loaded = load(tmp_path / "stand-in.yaml")
    apply_all(api, loaded, "test")
    yield loaded
    monkeypatch.setattr(applying, "DELETED_TIMEOUT_S", 60.0)  # A test may have had less patience.
    delete_all(api, [reference(o) for o in loaded], FIRST, [FINALIZER])


def test_webhooks_apiservices_and_finalizers_do_not_hang_a_removal(
    api: Api, objects: list[Any]
) -> None:
    references = [reference(body) for body in objects]
    delete_all(api, references, FIRST, [f"{GROUP}/*"])
    assert [str(r) for r in references if read(api, r) is not None] == []


def test_a_finalizer_that_nobody_allowed_to_strip_is_named(
    api: Api, objects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "DELETED_TIMEOUT_S", 4.0)
    with pytest.raises(RefusedError) as error:
        delete_all(api, [reference(body) for body in objects], FIRST, ())
    assert "Gizmo first" in str(error.value)
    assert FINALIZER in str(error.value)


def test_applying_again_is_applying_once(api: Api, objects: list[Any]) -> None:
    removable = [o for o in objects if o["kind"] in ("Namespace", "ConfigMap")]
    apply_all(api, removable, "test")


def test_objects_of_somebody_else_are_neither_taken_over_nor_deleted(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}
    api.call(api.core.create_namespaced_config_map, "default", body)
    try:
        with pytest.raises(RefusedError, match="ConfigMap theirs"):
            applying.refuse_foreign(api, [body])
    finally:
        api.call(api.core.delete_namespaced_config_map, "theirs", "default")


def test_a_refusal_of_the_api_server_names_the_object_and_its_reason(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"}, "spec": {}}
    with pytest.raises(RefusedError, match=r"Service bad: the API server refused it: .*ports"):
        apply_all(api, [body], "test")


def test_a_stale_condition_goes_and_its_taint_with_it(api: Api, nodes: list[str]) -> None:
    condition = {
        "type": "NetworkUnavailable",
        "status": "True",
        "reason": "StandInIsDown",
        "message": "left behind",
    }
    node = nodes[0]
    api.call(api.core.patch_node_status, node, {"status": {"conditions": [condition]}})
    assert _soon(lambda: "node.kubernetes.io/network-unavailable" in _taints(api, node))
    remove_marks(api, node, Cleanup(node_conditions=("NetworkUnavailable",)), Marks())
    assert _soon(lambda: "node.kubernetes.io/network-unavailable" not in _taints(api, node))


def test_marks_on_nodes_go_by_their_patterns_but_for_those_that_were_there(
    api: Api, nodes: list[str]
) -> None:
    node = nodes[0]
    patterns = ("standin.cnibench.io/*",)
    removes = Cleanup(node_annotations=patterns, node_labels=patterns, node_taints=patterns)
    theirs = {"standin.cnibench.io/theirs": "1"}
    _mark(api, node, theirs)
    try:
        before = present_marks(api, node, removes)
        ours = {"standin.cnibench.io/subnet": "1", "other.cnibench.io/kept": "2"}
        _mark(api, node, ours | {"standin.cnibench.io/theirs": "changed"})
        remove_marks(api, node, removes, before)
        metadata = api.call(api.core.read_node, node).metadata
        for found in (metadata.annotations, metadata.labels):
            kept = {key: value for key, value in found.items() if ".cnibench.io/" in key}
            assert kept == theirs | {"other.cnibench.io/kept": "2"}
    finally:
        mine = ("*.cnibench.io/*",)
        remove_marks(api, node, Cleanup(node_annotations=mine, node_labels=mine), Marks())


def _mark(api: Api, node: str, marks: dict[str, str]) -> None:
    api.call(api.core.patch_node, node, {"metadata": {"annotations": marks, "labels": marks}})


@pytest.mark.parametrize(
    ("toleration", "comes_back"),
    [
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": evacuation.TAINT, "operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "somebody/elses", "operator": "Exists"}, False),
    ],
)
def test_daemons_that_would_fill_nodes_again_are_known(
    api: Api, toleration: dict[str, str], comes_back: bool
) -> None:
    with daemon_set(api, "tireless", [toleration]):
        names = [each.metadata.name for each in evacuation.tireless(api)]
    assert names == ["tireless"] * comes_back


def _taints(api: Api, node: str) -> set[str]:
    return {taint.key for taint in api.call(api.core.read_node, node).spec.taints or []}


def _soon(condition: Any, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False
