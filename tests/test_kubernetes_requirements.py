"""What keeps a cluster from being measured: what a person has to mend, or what may mend itself."""

from typing import TYPE_CHECKING

import pytest

from steps.lib.errors import TransientError
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.requirements import missing

if TYPE_CHECKING:
    from tests.api_server import ApiServer, Document

pytest_plugins = ["tests.api_server"]

VERSION = ("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion")
SYSTEM = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "osImage",
    "systemUUID",
)
WITHOUT_NETWORK, READY, STOPPED, JOINING = "False", "True", "Unknown", None


@pytest.fixture
def api(api_server: "ApiServer") -> Api:
    said = dict.fromkeys((*VERSION, "compiler", "platform"), "") | {"major": "1", "minor": "36"}
    api_server.objects["/version/"] = said
    return connect(api_server.context)


def add_nodes(server: "ApiServer", *statuses: str | None) -> None:
    """Nodes n1, n2 and so on, by what each says of its being ready."""
    for number, status in enumerate(statuses, 1):
        server.carry_out("POST", "/api/v1/nodes", node(f"n{number}", status))


def node(name: str, status: str | None) -> "Document":
    ready = {"type": "Ready", "status": status, "message": "as the kubelet says"}
    info = dict.fromkeys(SYSTEM, "") | {"operatingSystem": "linux"}
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": "10.244.0.0/24"} if status else {},
        "status": {"nodeInfo": info, "conditions": [ready] if status else []},
    }


def test_nodes_that_say_that_they_have_no_network_are_as_they_should_be(
    api_server: "ApiServer", api: Api
) -> None:
    add_nodes(api_server, WITHOUT_NETWORK, WITHOUT_NETWORK)
    assert missing(api, installed_by_us=False) == []


@pytest.mark.parametrize(
    ("status", "said"), [(STOPPED, "as the kubelet says"), (JOINING, "no status")]
)
def test_a_node_that_is_silent_may_be_heard_at_the_next_try(
    api_server: "ApiServer", api: Api, status: str | None, said: str
) -> None:
    add_nodes(api_server, WITHOUT_NETWORK, status)
    with pytest.raises(TransientError, match=f"node n2 does not report: {said}"):
        missing(api, installed_by_us=False)


def test_what_a_person_has_to_mend_comes_before_what_may_mend_itself(
    api_server: "ApiServer", api: Api
) -> None:
    add_nodes(api_server, READY, STOPPED)
    (said,) = missing(api, installed_by_us=False)
    assert "node n1 has a pod network already" in said


def test_a_cluster_of_one_node_is_a_persons_to_mend(api_server: "ApiServer", api: Api) -> None:
    add_nodes(api_server, STOPPED)
    (said,) = missing(api, installed_by_us=False)
    assert said == "the cluster has 1 worker nodes (n1); needed are 2"
