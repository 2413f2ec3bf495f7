"""What keeps a cluster from being measured: what a person has to mend, or what may mend itself."""

from typing import TYPE_CHECKING

import pytest

from steps.lib.errors import TransientError
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.requirements import missing

if TYPE_CHECKING:
    from tests.api_server import ApiServer

pytest_plugins = ["tests.api_server"]

WITHOUT_NETWORK, READY, STOPPED, JOINING = "False", "True", "Unknown", None


@pytest.fixture
def api(api_server: "ApiServer") -> Api:
    return connect(api_server.context)


def add_nodes(server: "ApiServer", *said: str | None) -> None:
    """Nodes n1, n2 and so on, by what each says of its being ready."""
    for number, ready in enumerate(said, 1):
        server.add_node(f"n{number}", ready)


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


def test_a_cluster_that_is_of_ipv6_first_is_said_to_be(api_server: "ApiServer", api: Api) -> None:
    add_nodes(api_server, WITHOUT_NETWORK, WITHOUT_NETWORK)
    api_server.objects[api_server.service_ranges]["spec"]["cidrs"] = ["fd9a::/112", "10.96.0.0/16"]
    (said,) = missing(api, installed_by_us=False)
    assert said.startswith("Services are of ipv6 first")


def test_a_cluster_of_one_node_is_a_persons_to_mend(api_server: "ApiServer", api: Api) -> None:
    add_nodes(api_server, STOPPED)
    (said,) = missing(api, installed_by_us=False)
    assert said == "the cluster has 1 worker nodes (n1); needed are 2"
