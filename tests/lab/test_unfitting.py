"""A cluster that cannot be measured is refused before anything on it is touched."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.layout import Lab
from steps.lib.catalog import Job
from steps.lib.errors import CnibenchError, InputError, TransientError
from steps.lib.targets import open_target
from steps.lib.targets.kubernetes import api as api_module
from steps.lib.targets.kubernetes import requirements
from steps.lib.targets.kubernetes.api import NAMESPACE, Api
from steps.lib.targets.kubernetes.memory import Memory
from steps.lib.targets.kubernetes.nodes import CONTROL_PLANE
from tests.jobs import plugin
from tests.lab.campaigns import NORMAL, Run, lab_job
from tests.lab.clusters import attached, daemon_set, pod_network

pytestmark = pytest.mark.lab

NOBODY = "nobody"


@pytest.fixture
def small(lab: Lab) -> Iterator[Job]:
    """A campaign on a target that is connected to anew, by the kubeconfig of that moment."""
    open_target.cache_clear()
    yield lab_job(lab, plugin(NORMAL))
    open_target.cache_clear()


def refusal(small: Job, folder: Path, kind: type[CnibenchError] = InputError) -> str:
    """What is said; nothing was stored, no stage was begun."""
    run = Run(folder / "results")
    with pytest.raises(kind) as raised:
        run.of(small)
    assert run.events == []
    assert list(run.folder.rglob("*.parquet")) == []
    return str(raised.value)


def is_untouched(api: Api) -> bool:
    return api.get(api.core.read_namespace, NAMESPACE) is None


@contextmanager
def kubeconfig(lab: Lab, folder: Path, **changes: dict[str, Any]) -> Iterator[None]:
    """The lab's kubeconfig with another ``cluster`` or ``user``."""
    document = yaml.safe_load(lab.kubeconfig.read_text())
    for kind, change in changes.items():
        for entry in document[f"{kind}s"]:
            entry[kind] = change if kind == "user" else entry[kind] | change
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        yield


def token(api: Api) -> str:
    """Of a user whom the API server knows and who may do nothing."""
    core = api.core
    if api.get(core.read_namespaced_service_account, NOBODY, "default") is None:
        api.call(core.create_namespaced_service_account, "default", {"metadata": {"name": NOBODY}})
    body = {"spec": {"audiences": [], "expirationSeconds": 600}}
    asked = api.call(core.create_namespaced_service_account_token, NOBODY, "default", body)
    return str(asked.status.token)


def test_a_user_without_rights(api: Api, lab: Lab, small: Job, tmp_path: Path) -> None:
    try:
        with kubeconfig(lab, tmp_path, user={"token": token(api)}):
            said = refusal(small, tmp_path)
    finally:
        api.call(api.core.delete_namespaced_service_account, NOBODY, "default")
    assert f"system:serviceaccount:default:{NOBODY}" in said
    assert "use a kubeconfig with the rights of a cluster administrator" in said
    assert is_untouched(api)


def test_a_user_whom_the_server_does_not_know(
    api: Api, lab: Lab, small: Job, tmp_path: Path
) -> None:
    with kubeconfig(lab, tmp_path, user={"token": "wrong"}):
        assert "does not know the user: 401: Unauthorized" in refusal(small, tmp_path)
    assert is_untouched(api)


def test_a_server_that_is_not_there(
    api: Api, lab: Lab, small: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "RETRY_FOR_S", 2.0)
    with kubeconfig(lab, tmp_path, cluster={"server": "https://127.0.0.1:9"}):
        said = refusal(small, tmp_path, TransientError)
    assert re.search(r"gave no answer in 2 s: .*Connection refused", said)
    assert is_untouched(api)


def test_one_node_only(api: Api, small: Job, tmp_path: Path, nodes: list[str]) -> None:
    """The other one is said to be of the control plane."""
    label = {"metadata": {"labels": {CONTROL_PLANE: ""}}}
    api.call(api.core.patch_node, nodes[1], label)
    try:
        said = refusal(small, tmp_path)
    finally:
        label["metadata"]["labels"][CONTROL_PLANE] = None  # type: ignore[assignment]
        api.call(api.core.patch_node, nodes[1], label)
    assert "the cluster has 1 worker nodes (n1); needed are 2" in said
    assert is_untouched(api)


def test_a_cluster_that_is_said_to_have_ipv6(api: Api, small: Job, tmp_path: Path) -> None:
    target = small.campaign.target.model_copy(update={"families": ("ipv4", "ipv6")})
    campaign = small.campaign.model_copy(update={"target": target})
    said = refusal(small.model_copy(update={"campaign": campaign}), tmp_path)
    for lacking in ("n1 has no InternalIP", "n2 has no podCIDR", "Services have no addresses"):
        assert f"{lacking} of ipv6: leave it out of the campaign's `target.families`" in said
    assert is_untouched(api)


def test_too_old(api: Api, small: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one version here, so it is the limit that is moved."""
    monkeypatch.setattr(requirements, "OLDEST", (1, 99))
    said = refusal(small, tmp_path)
    assert re.search(r"the cluster is Kubernetes v1\.\d+\.\d+; needed is 1\.99 or later", said)
    assert is_untouched(api)


def test_a_namespace_of_our_name_that_somebody_else_made(
    api: Api, small: Job, tmp_path: Path
) -> None:
    api.call(api.core.create_namespace, {"metadata": {"name": NAMESPACE}})
    try:
        assert "has a namespace cnibench that cnibench did not make" in refusal(small, tmp_path)
        found = api.call(api.core.read_namespace, NAMESPACE)
        assert found.metadata.deletion_timestamp is None
    finally:
        api.call(api.core.delete_namespace, NAMESPACE)
        assert _soon_gone(api)


def _soon_gone(api: Api) -> bool:
    deadline = time.monotonic() + 30
    while not is_untouched(api) and time.monotonic() < deadline:
        time.sleep(0.2)
    return is_untouched(api)


def test_pods_that_come_back_while_nodes_are_emptied(api: Api, small: Job, tmp_path: Path) -> None:
    with daemon_set(api, "shipper", [{"operator": "Exists"}]):
        said = refusal(small, tmp_path)
    assert "DaemonSet default/shipper keeps nodes from being emptied" in said
    assert is_untouched(api)


def test_a_network_that_somebody_else_installed(
    lab: Lab, api: Api, small: Job, tmp_path: Path
) -> None:
    try:
        with attached(lab) as cluster, pod_network(cluster):
            said = refusal(small, tmp_path)
            assert Memory(api).names() == []
    finally:
        requirements.wait_without_network(api)
        api.delete_namespace()
    for name in cluster.names:
        assert f"node {name} has a pod network already, which cnibench did not install" in said
