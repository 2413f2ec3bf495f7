"""The client outside of a cluster is a network namespace of this machine, or the machine itself."""

import pytest

from steps.lib.errors import InputError
from steps.lib.models import TargetSpec
from steps.lib.models.campaign import ExternalClient
from steps.lib.targets.kubernetes.external import External
from steps.lib.targets.protocol import EndpointRequest, Node

pytestmark = pytest.mark.namespaces

LOOPBACK = Node("n1", "127.0.0.1", "lo")


def external(client: ExternalClient | None) -> External:
    spec = TargetSpec(kind="kubernetes", name="ext", context="none", external_client=client)
    return External(spec, LOOPBACK)


def test_the_machine_itself_can_be_the_client() -> None:
    client = external(ExternalClient())
    with client.make(EndpointRequest("client", "external", 0)) as endpoint:
        assert (endpoint.device, endpoint.address, endpoint.pair) == ("lo", "127.0.0.1", None)
        before = client.counters()
        ping = client.start(["ping", "-c", "1", "-W", "1", LOOPBACK.address], "client")
        assert ping.stop(5) == (0, b"")
        after = client.counters()
        assert after.devices["lo"].tx_packets > before.devices["lo"].tx_packets
        assert client.usage_s()["client"] > 0
        assert client.read_setting("net.ipv4.ip_forward") in ("0", "1")
    assert client.usage_s() == {}


def test_a_tool_that_still_runs_ends_with_the_endpoint() -> None:
    client = external(ExternalClient())
    with client.make(EndpointRequest("client", "external", 0)):
        process = client.start(["sh", "-c", "echo runs; sleep 60"], "client")
        assert process.stdout.readline() == b"runs\n"
    assert process.stop(0.5)[0] == -9


def test_a_target_without_an_external_client_says_what_to_write() -> None:
    with pytest.raises(InputError, match=r"target\.external_client is missing"):
        external(None).namespace  # noqa: B018 (a property that checks)
    external(None).take_away()
    assert external(None).usage_s() == {}


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no network namespace 'no-such-namespace'"):
        external(ExternalClient(namespace="no-such-namespace")).namespace  # noqa: B018
