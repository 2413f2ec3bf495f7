"""The client outside of a cluster: where the stages run, or a network namespace there."""

import os
import traceback
from collections.abc import Callable, Iterator

import pytest

from steps.lib.errors import InputError
from steps.lib.models import TargetSpec
from steps.lib.models.campaign import ExternalClient
from steps.lib.targets.kubernetes.external import External
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.links import netlink
from steps.lib.targets.protocol import EndpointRequest, Node

pytestmark = pytest.mark.namespaces

LOOPBACK = Node("n1", "127.0.0.1", "lo")
REQUEST = EndpointRequest("client", "external", 0)
NOBODY = 8737
NAMESPACE = "cnib-external-test"
SENDS = ("bash", "-c", "echo >/dev/udp/127.0.0.1/9")
WORKS = ("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 60")
"""Takes more than a tick of the clock by which the CPU of processes is told."""


def external(client: ExternalClient | None, tools: str = "box") -> External:
    given = {"kind": "kubernetes", "name": "ext", "context": "none", "tools": tools}
    return External(TargetSpec.model_validate(given | {"external_client": client}), LOOPBACK)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network of its own, with a loopback that works."""
    netns.create(NAMESPACE)
    try:
        with netlink(NAMESPACE) as own:
            own.set_link("lo", state="up")
        yield NAMESPACE
    finally:
        netns.delete(NAMESPACE)


def use(client: External) -> None:
    """Make the endpoint, run tools in it, and read all that is read of it."""
    with client.make(REQUEST) as endpoint:
        assert (endpoint.device, endpoint.address, endpoint.pair) == ("lo", "127.0.0.1", None)
        before = client.counters()
        assert client.start(SENDS, "probe").stop(5) == (0, b"")
        after = client.counters()
        assert after.devices["lo"].tx_packets > before.devices["lo"].tx_packets
        assert client.read_setting("net.ipv4.ip_forward") in ("0", "1")
        assert client.usage_s().get("client", 0.0) == 0
        tool = client.start(WORKS, "client")
        assert tool.stdout.readline() == b"done\n"
        used_s = client.usage_s()["client"]
        assert 0.01 < used_s < 20
        assert all(group.startswith("external:/") for group in client.throttled())
    assert tool.stop(0.5)[0] < 0, "it ends with the endpoint"
    assert (client.usage_s(), client.throttled()) == ({}, {})


def test_the_machine_itself_can_be_the_client() -> None:
    use(external(ExternalClient()))


def test_a_network_namespace_can_be_the_client(namespace: str) -> None:
    use(external(ExternalClient(namespace=namespace)))


def as_nobody(do: Callable[[], None]) -> None:
    """Do something in another process, which has no right."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            do()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "see what it printed"


def test_who_has_no_right_can_be_the_client_as_in_the_pod_of_a_stage(namespace: str) -> None:
    with netns.inside(namespace):
        as_nobody(lambda: use(external(ExternalClient(), tools="host")))


def test_a_tool_box_that_takes_root_is_not_entered_without() -> None:
    def start() -> None:
        with pytest.raises(InputError, match="write `tools: host`"):
            external(ExternalClient()).start(["true"], "client")

    as_nobody(start)


@pytest.mark.parametrize("named", [False, True])
def test_of_a_tool_that_has_ended_there_is_what_was_seen_of_it(namespace: str, named: bool) -> None:
    client = external(ExternalClient(namespace=namespace if named else None))
    with client.make(REQUEST):
        tool = client.start(WORKS, "client")
        assert tool.stdout.readline() == b"done\n"
        seen_s, groups = client.usage_s()["client"], set(client.throttled())
        tool.stop(0.0)
        assert client.usage_s()["client"] >= seen_s > 0
        assert set(client.throttled()) == groups


def test_a_target_without_an_external_client_says_what_to_write() -> None:
    with pytest.raises(InputError, match=r"target\.external_client is missing"):
        external(None).namespace  # noqa: B018 (a property that checks)
    external(None).take_away()
    assert (external(None).usage_s(), external(None).throttled()) == ({}, {})


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no network namespace 'no-such-namespace'"):
        external(ExternalClient(namespace="no-such-namespace")).namespace  # noqa: B018
