"""Where the CPUs' time goes on the embedded target, by samples of real traffic over real paths."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steps.lib.catalog import Catalog
from steps.lib.components import classifier
from steps.lib.models import PathName
from steps.lib.models.components import IDLE
from steps.lib.reading import CpuUse, Ends, Window, read
from steps.lib.targets import kernel_symbols, sampling
from steps.lib.targets.namespaces.target import NamespacesTarget
from steps.lib.targets.observations import Sampled
from steps.lib.targets.protocol import EndpointRequest
from tests.namespaces import ends_of, prepared, send

pytestmark = pytest.mark.namespaces

HZ = 499
"""More than a campaign takes: two seconds shall tell a share to a percent or two."""

ROOT = Path(__file__).parents[1]

LOOP = "while :; do :; done"

IN_A_CONTAINER = f"""
import json, subprocess, time
from steps.lib.targets.kubernetes.agent import sampling
with subprocess.Popen(["sh", "-c", "({LOOP}) & sleep 2; kill $!"]):
    sampling.start_sampling({HZ})
    first_s = time.monotonic()
    time.sleep(1)
    print(json.dumps(sampling.samples(first_s, time.monotonic())["stacks"]))
    sampling.stop_sampling()
"""
"""The first process of it, whose first child has the number that kthreadd has outside."""

Shares = dict[str, float]


@contextmanager
def with_plugin(name: str) -> Iterator[NamespacesTarget]:
    with prepared("t-sample") as target:
        target.install(Catalog().plugins.load(name), "test")
        yield target


def sampled_while(
    target: NamespacesTarget, work: Callable[[], object], hz: int = HZ
) -> tuple[Sampled, CpuUse]:
    with target.sampling(hz) as sampling:
        first = target.cpu()
        work()
        last = target.cpu()
        return sampling.between(first, last), CpuUse(first, last)


def shares(sampled: Sampled) -> Shares:
    assert sampled.reason is None
    counts = classifier().count(sampled.stacks)
    total = sum(n for name, n in counts.items() if name not in IDLE)
    return {name: n / total for name, n in counts.items() if name not in IDLE}


def busy_s(sampled: Sampled) -> float:
    counts = classifier().count(sampled.stacks)
    return sum(n for name, n in counts.items() if name not in IDLE) / HZ


def shares_of(target: NamespacesTarget, path: PathName) -> Shares:
    with ends_of(target, path) as ends:
        return shares(sampled_while(target, lambda: bulk(target, ends))[0])


def bulk(target: NamespacesTarget, ends: Ends) -> None:
    send(target, ends, "-t", "2", "-l", "128K")


def of_our_packets(found: Shares) -> Shares:
    """Without strangers, whose share is whatever else this machine does."""
    ours = {k: v for k, v in found.items() if k not in ("foreign", "cnibench", "other")}
    return {name: share / sum(ours.values()) for name, share in ours.items()}


def test_traffic_costs_copies_the_stack_and_the_devices_it_crosses() -> None:
    with with_plugin("ptp-routes") as target:
        inside = of_our_packets(shares_of(target, "same-node"))
        across = of_our_packets(shares_of(target, "cross-node"))
    for found in (inside, across):
        assert found["copy"] > 0.05
        assert found["stack"] > 0.05
        assert min(found[name] for name in ("tool", "veth", "forwarding")) > 0
        assert {"overlay", "encryption"}.isdisjoint(found)
    assert "bridge" not in inside
    assert across["bridge"] > 0, "the switch between the nodes is one"


def test_a_tunnel_and_a_bridge_appear_where_they_are() -> None:
    with with_plugin("bridge-vxlan") as target:
        across = of_our_packets(shares_of(target, "cross-node"))
        inside = of_our_packets(shares_of(target, "same-node"))
    assert across["overlay"] > 0
    assert "overlay" not in inside
    assert min(across["bridge"], inside["bridge"]) > 0


def test_rules_of_the_packet_filter_make_its_share_grow() -> None:
    with with_plugin("ptp-routes") as target, ends_of(target, "cross-node") as ends:

        def share() -> float:
            sampled, _ = sampled_while(target, lambda: bulk(target, ends))
            return of_our_packets(shares(sampled)).get("netfilter", 0.0)

        before = share()
        rules = "".join(
            f"add rule ip slow forward ip saddr 203.0.113.{n % 256} drop\n" for n in range(1000)
        )
        subprocess.run(
            ["ip", "netns", "exec", target._namespace(ends.client.node), "nft", "-f", "-"],
            input="add table ip slow\nadd chain ip slow forward "
            "{ type filter hook forward priority 0; }\n" + rules,
            text=True,
            check=True,
        )
        after = share()
    assert after > before + 0.05


def test_samples_agree_with_the_time_that_cpus_were_busy() -> None:
    with with_plugin("ptp-routes") as target, ends_of(target, "cross-node") as ends:
        sampled, use = sampled_while(target, lambda: bulk(target, ends))
    assert busy_s(sampled) == pytest.approx(use.busy_s, rel=0.2)


def test_samples_are_those_of_the_window_and_no_others() -> None:
    with with_plugin("ptp-routes") as target, target.sampling(HZ) as sampling:
        busy = [subprocess.Popen(["timeout", "2", "sh", "-c", LOOP]) for _ in range(2)]
        time.sleep(0.5)
        first = target.cpu()
        time.sleep(1)
        last = target.cpu()
        assert [process.wait() for process in busy] == [124, 124], "it outlived the window"
        sampled = sampling.between(first, last)
        nothing = sampling.between(last, last)
    assert busy_s(sampled) == pytest.approx(CpuUse(first, last).busy_s, rel=0.2)
    assert nothing.stacks == {}


def test_samples_are_told_while_more_of_them_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_EMPTY_INTERVAL_S", 0.0)
    # Real names take a tenth of a second, in which nothing can go wrong.
    monkeypatch.setattr(kernel_symbols, "names_of", lambda found: dict.fromkeys(found, "name"))
    sampler = sampling.Sampler(1999)
    told, usual_s = [], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"]) as busy:
        try:
            sampler.start()
            until = time.monotonic() + 2
            while time.monotonic() < until:
                told.append(sum(s.times for s in sampler.samples(0, until)))
        finally:
            sys.setswitchinterval(usual_s)
            sampler.stop()
            busy.kill()
    assert told == sorted(told), "none was lost"
    assert told[-1] > 1999


def test_strangers_and_our_own_program_are_told_apart_from_the_tool() -> None:
    busy = f"timeout 1 sh -c '{LOOP}'"

    def work(target: NamespacesTarget) -> None:
        # A child that outlives its parent is adopted by init, so that it is no descendant of ours.
        subprocess.run(["sh", "-c", f"{busy} >/dev/null 2>&1 &"], check=True)
        with target.endpoint(EndpointRequest("host", "host", 0)) as host:
            tool = target.start(host, ["sh", "-c", busy], "client")
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                pass
            tool.stop(5)

    with with_plugin("ptp-routes") as target:
        sampled, _ = sampled_while(target, lambda: work(target))
    counts = classifier().count(sampled.stacks)
    for whose in ("foreign", "tool", "cnibench"):
        assert counts[whose] > 0.1 * HZ, counts


def test_kernel_threads_are_told_by_what_they_are() -> None:
    private = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    told = subprocess.run(
        [*private, sys.executable, "-c", IN_A_CONTAINER],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=ROOT,
    )
    seen = sum(
        times for owner, frames, times in json.loads(told.stdout) if (owner, frames) == ("", [])
    )
    assert seen > 0.3 * HZ, "a child of process 2"
    ours, second = sampling._origin(os.getpid()), sampling._origin(2)
    assert ours and not ours.is_kernel_thread
    if Path("/proc/2/comm").read_text() == "kthreadd\n":
        assert second and second.is_kernel_thread


def test_sampling_that_is_off_says_so() -> None:
    with prepared("t-sample") as target:
        sampled, _ = sampled_while(target, lambda: None, 0)
    assert sampled == Sampled(reason="sampling is off: the matrix says cpu_sampling_hz 0")


def test_packets_of_the_stack_and_of_devices_are_counted_apart() -> None:
    with with_plugin("ptp-routes") as target, ends_of(target, "cross-node") as ends:
        first = read(target, ends)
        payload = send(target, ends, "-n", "32M")
        window = Window(first, read(target, ends), ends)
    segments = window.stack("client", "Tcp.OutSegs")
    own = window.device_packets("client", "eth0")
    uplink = window.device_packets("client-node", ends.client.node.uplink)
    assert own is not None and uplink is not None
    assert segments > payload / 1460
    assert own < segments / 2, "a veth counts buffers of many segments, and acknowledgements"
    assert uplink == pytest.approx(own, rel=0.1, abs=50), "without a tunnel they are the same"
    assert window.device_packets("client", "no-such") is None
