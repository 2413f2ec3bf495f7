"""Pods of a real cluster as endpoints: traffic, output as it comes, and every way to lose one."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lab.layout import Lab
from steps.lib.errors import CnibenchError, RefusedError, TransientError
from steps.lib.models import PATHS, PathName
from steps.lib.reading import CpuUse, Ends
from steps.lib.targets.kubernetes import pods
from steps.lib.targets.kubernetes.api import NAMESPACE, AnswerError
from steps.lib.targets.kubernetes.endpoint_pods import SELECTOR, PodEndpoint
from steps.lib.targets.kubernetes.endpoints import Endpoints
from steps.lib.targets.protocol import Endpoint, EndpointRequest
from tests.lab.clusters import Attached, lay_out, wait_ready
from tests.lab.labs import call, run

pytestmark = pytest.mark.lab

PORT = 30521
LINES = 100
COUNTING = (
    *("sh", "-c"),
    f"i=0; while [ $i -lt {LINES} ]; do echo $i $(date +%s.%N); i=$((i+1)); sleep 0.1; done;"
    "echo bad >&2; printf 'no newline'; exit 3",
)
PATH_NAMES: list[PathName] = [
    "in-pod", "same-node", "cross-node", "pod-service", "external-service", "host-to-host",
    "pod-headless", "pod-external",
]  # fmt: skip


@pytest.fixture
def endpoints(cluster: Attached) -> Endpoints:
    return cluster.endpoints()


@pytest.fixture
def pod(endpoints: Endpoints) -> Iterator[PodEndpoint]:
    """A pod on the second node."""
    with endpoints.make(EndpointRequest("client", "pod", 1)) as made:
        assert isinstance(made, PodEndpoint)
        yield made


def ends_of(stack: ExitStack, endpoints: Endpoints, name: PathName) -> Ends:
    path = PATHS[name]
    place = path.server or path.client
    wanted = (place.kind, place.node_index, (PORT,) if path.published else ())
    request = EndpointRequest("server", *wanted, headless=path.by_name)
    server = stack.enter_context(endpoints.make(request))
    client: Endpoint = server
    if path.server is not None:
        request = EndpointRequest("client", path.client.kind, path.client.node_index)
        client = stack.enter_context(endpoints.make(request))
    addresses = {
        "loopback": "127.0.0.1",
        "pod": server.address,
        "node": server.node.address,
        "service": server.service_address or "",
        "name": endpoints.resolve(client, server) if path.by_name else "",
    }
    return Ends(client, server, addresses[path.address])


# ---------- pods
def test_a_pod_is_described_by_what_the_kernel_shows(
    cluster: Attached, endpoints: Endpoints, pod: PodEndpoint
) -> None:
    assert (pod.device, pod.mtu_bytes, pod.node) == ("eth0", 1450, cluster.nodes[1])
    assert pod.pair is not None and pod.pair.startswith("veth")
    assert pod.start_ms is not None and 100 < pod.start_ms < 30_000
    _, counters = endpoints.reading({"node": pod.node, "pod": pod})
    assert pod.pair in counters["node"].devices
    assert set(counters["pod"].devices) == {"lo", "eth0"}


def test_settings_are_read_inside_the_pod(endpoints: Endpoints, pod: PodEndpoint) -> None:
    assert endpoints.read_setting(pod, "net.ipv4.ip_forward") == "0"
    assert endpoints.read_setting(pod, "net.no.such") is None


@pytest.mark.parametrize("name", PATH_NAMES)
def test_traffic_takes_every_path(endpoints: Endpoints, name: PathName) -> None:
    with ExitStack() as stack:
        ends = ends_of(stack, endpoints, name)
        server = endpoints.start(ends.server, ["iperf3", "-s", "-1", "-p", str(PORT)], "server")
        endpoints.wait_listening(ends.server, PORT, "tcp", 5)
        before, _ = endpoints.reading(ends.places)
        send = ["iperf3", "-c", ends.address, "-p", str(PORT), "-t", "1", "-J"]
        client = endpoints.start(ends.client, send, "client")
        document = json.loads(client.stdout.read())
        assert client.stop(5) == (0, b""), document
        after, counters = endpoints.reading(ends.places)
        assert server.stop(5)[0] == 0
        assert document["end"]["sum_received"]["bytes"] > 1e6
        for group in ("client", "server"):
            used_s = after.groups[group] - before.groups.get(group, 0.0)
            assert 0.05 < used_s < CpuUse(before, after).capacity_s
        if name != "host-to-host":
            assert set(counters) == set(ends.places)
        assert after.cpus == os.cpu_count()  # Both nodes share one kernel: its CPUs count once.


def test_probes_run_beside_a_tool(endpoints: Endpoints, pod: PodEndpoint) -> None:
    endpoints.start(pod, ["sleep", "60"], "client")
    for _ in range(2):
        ping = ["ping", "-c", "1", "-W", "1", pod.node.address]
        assert endpoints.start(pod, ping, "probe").stop(2)[0] == 0
    assert b"iperf 3" in endpoints.start(pod, ["iperf3", "--version"], "probe").stdout.read()


def test_a_pod_takes_one_tool_of_each_group(endpoints: Endpoints, pod: PodEndpoint) -> None:
    endpoints.start(pod, ["sleep", "60"], "client")
    with pytest.raises(CnibenchError, match="takes one only"):
        endpoints.start(pod, ["sleep", "60"], "client")
    with pytest.raises(CnibenchError, match="not made for the group 'server'"):
        endpoints.start(pod, ["sleep", "60"], "server")


def test_two_servers_on_one_port_of_a_node_are_noticed_at_once(endpoints: Endpoints) -> None:
    command = ["iperf3", "-s", "-1", "-p", str(PORT)]
    with (
        endpoints.make(EndpointRequest("server", "host", 0)) as first,
        endpoints.make(EndpointRequest("second", "host", 0)) as second,
    ):
        endpoints.start(first, command, "server")
        endpoints.wait_listening(first, PORT, "tcp", 5)
        process = endpoints.start(second, command, "server")
        code, said = process.stop(5)
        assert code == 1
        assert b"ddress already in use" in said + process.stdout.read()


def test_a_server_that_ends_instead_of_listening_is_said(
    endpoints: Endpoints, pod: PodEndpoint
) -> None:
    with endpoints.make(EndpointRequest("server", "pod", 0)) as server:
        endpoints.start(server, ["iperf3", "-s", "-B", "192.0.2.1"], "server")
        with pytest.raises(RefusedError, match="ended with 1 before it listened"):
            endpoints.wait_listening(server, PORT, "tcp", 5)


def test_cpu_of_strangers_is_told_from_that_of_the_plugin(cluster: Attached) -> None:
    busy = ["sh", "-c", "timeout 3 sh -c 'while :; do :; done'; sleep 60"]
    container = {"name": "x", "image": cluster.spec.toolbox_image, "command": busy}
    spec = {"nodeName": "n1", "terminationGracePeriodSeconds": 0, "containers": [container]}
    core = cluster.api.core
    with cluster.endpoints().make(EndpointRequest("client", "pod", 1)):
        made = cluster.api.call(
            core.create_namespaced_pod, "default", {"metadata": {"generateName": "x"}, "spec": spec}
        )
        try:
            time.sleep(3)
            alone = cluster.endpoints().reading({})[0]
            as_plugin = Endpoints(
                *(cluster.api, cluster.agents, cluster.spec, cluster.nodes),
                plugin_namespaces=lambda: ["default"],
            ).reading({})[0]
        finally:
            cluster.api.call(core.delete_namespaced_pod, made.metadata.name, "default")
    assert alone.foreign_s > 0.5
    assert as_plugin.foreign_s == 0


def test_what_was_made_is_known_again_when_the_answer_was_lost(cluster: Attached) -> None:
    api, core = cluster.api, cluster.api.core
    body = {"metadata": {"name": "lost"}, "spec": {"ports": [{"port": PORT}]}}
    sent = []

    def make(*arguments: Any, **options: Any) -> Any:
        sent.append(arguments)
        made = core.create_namespaced_service(*arguments, **options)
        if len(sent) == 1:
            raise ConnectionResetError
        return made

    try:
        found = pods.create_once(api, make, core.read_namespaced_service, body)
        assert (found.metadata.name, len(sent)) == ("lost", 2)
        with pytest.raises(AnswerError, match="already exists"):
            pods.create_once(api, make, core.read_namespaced_service, body)
    finally:
        api.call(core.delete_namespaced_service, "lost", NAMESPACE)


# ---------- output and its end
def follow(process: Any) -> tuple[list[int], list[float], bytes]:
    """Numbers of the lines that came, how late each came, and what came behind them."""
    numbers, late_s, tail = [], [], b""
    for line in process.stdout:
        now = time.time()
        if line.startswith(b"no newline"):
            tail = line
            continue
        number, stamp = line.split()
        numbers.append(int(number))
        late_s.append(now - float(stamp))
    return numbers, late_s, tail


def test_lines_come_at_once_and_the_end_is_told(endpoints: Endpoints, pod: PodEndpoint) -> None:
    process = endpoints.start(pod, COUNTING, "client")
    numbers, late_s, tail = follow(process)
    assert numbers == list(range(LINES)) and tail == b"no newline"
    started = time.monotonic()
    assert process.stop(5) == (3, b"bad\n")
    assert process.stop(5) == (3, b"bad\n")
    assert time.monotonic() - started < 0.5
    late_s.sort()
    assert late_s[LINES // 2] < 0.05


def test_a_tool_that_hangs_is_ended(endpoints: Endpoints, pod: PodEndpoint) -> None:
    hang = ["sh", "-c", "trap '' TERM; echo hangs; sleep 60; sleep 60"]
    process = endpoints.start(pod, hang, "client")
    assert process.stdout.readline() == b"hangs\n"
    started = time.monotonic()
    assert process.stop(0.0)[0] == -9
    assert time.monotonic() - started < 4
    assert process.stdout.read() == b""


def test_output_survives_a_restart_of_the_api_server(
    endpoints: Endpoints, pod: PodEndpoint, lab: Lab
) -> None:
    process = endpoints.start(pod, COUNTING, "client")
    threading.Timer(2, call, (lab, "restart-apiserver", "target")).start()
    numbers, _, tail = follow(process)
    assert numbers == list(range(LINES)) and tail == b"no newline"
    assert process.stop(5) == (3, b"bad\n")


def test_an_evicted_pod_is_noticed_soon(
    cluster: Attached, endpoints: Endpoints, pod: PodEndpoint
) -> None:
    process = endpoints.start(pod, COUNTING, "client")
    assert process.stdout.readline().startswith(b"0 ")
    body = {"metadata": {"name": pod.pod, "namespace": NAMESPACE}}
    api = cluster.api
    api.call(api.core.create_namespaced_pod_eviction, pod.pod, NAMESPACE, body)
    started = time.monotonic()
    numbers, _, _ = follow(process)
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) < LINES - 1
    with pytest.raises(TransientError, match="on node n2 was lost: the pod "):
        process.stop(5)
    assert time.monotonic() - started < 15


def test_an_image_that_is_not_there_is_said_soon(cluster: Attached) -> None:
    spec = cluster.spec.model_copy(update={"toolbox_image": "registry.invalid/no/such:box"})
    endpoints = Endpoints(cluster.api, cluster.agents, spec, cluster.nodes)
    making = endpoints.make(EndpointRequest("client", "pod", 0))
    with pytest.raises(RefusedError, match=r"image registry\.invalid/no/such:box"):
        making.__enter__()
    assert pods.read(cluster.api, "cnibench-client") is None


def test_what_a_killed_run_left_is_taken_away(cluster: Attached) -> None:
    first = cluster.endpoints().make(EndpointRequest("server", "pod", 0, (PORT,)))
    first.__enter__()
    cluster.endpoints().take_away_all()
    api = cluster.api
    for listing in (api.core.list_namespaced_pod, api.core.list_namespaced_service):
        assert api.call(listing, NAMESPACE, label_selector=SELECTOR).items == []


def test_the_last_pod_that_ends_waits_for_all(cluster: Attached, endpoints: Endpoints) -> None:
    with endpoints.make(EndpointRequest("server", "pod", 0)):
        for _ in range(2):  # The second takes the place of the first, which may still be ending.
            with endpoints.make(EndpointRequest("client", "pod", 1)) as made:
                assert endpoints.start(made, ["true"], "client").stop(5)[0] == 0
    assert [pods.read(cluster.api, f"cnibench-{n}") for n in ("server", "client")] == [None, None]


def test_pods_struck_off_have_no_network(cluster: Attached, pod: PodEndpoint) -> None:
    pods.end(cluster.api, pod.pod)
    while (left := pods.read(cluster.api, pod.pod)) and not pods.is_torn_down(left):
        pass
    assert pod.pair not in cluster.endpoints().reading({"node": pod.node})[1]["node"].devices


# ---------- a node that dies; last, since it takes longest
def test_a_node_that_dies_is_said_and_its_pod_is_struck_off(
    cluster: Attached, endpoints: Endpoints, lab: Lab
) -> None:
    try:
        with endpoints.make(EndpointRequest("client", "pod", 1)) as pod:
            process = endpoints.start(pod, COUNTING, "client")
            assert process.stdout.readline().startswith(b"0 ")
            run(lab, "kill-node", "n2")
            follow(process)
            with pytest.raises(TransientError, match="on node n2 was lost"):
                process.stop(5)
            cluster.agents.remove()
            cluster.agents.ensure()
            with pytest.raises(TransientError, match="n2 does not answer: node n2 does not report"):
                endpoints.reading({"pod": pod})
        assert pods.read(cluster.api, "cnibench-client") is None
    finally:
        run(lab, "up", "--only", "target")
        cluster.agents.ensure()
        lay_out(cluster)
        wait_ready(cluster)
    with endpoints.make(EndpointRequest("client", "pod", 1)) as pod:
        assert endpoints.start(pod, ["true"], "client").stop(5) == (0, b"")
