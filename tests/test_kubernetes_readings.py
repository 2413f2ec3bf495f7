"""What the agents of several nodes read is put together, whatever kernels the nodes have."""

from typing import Any, cast

from kubernetes.client import V1ObjectMeta, V1Pod, V1PodList

from steps.lib.reading import CpuUse
from steps.lib.row import node_cost
from steps.lib.targets.kubernetes.agents import Answer
from steps.lib.targets.kubernetes.api import Api
from steps.lib.targets.kubernetes.readings import Strangers, cpu_times
from steps.lib.targets.kubernetes.sampling import Owners
from steps.lib.targets.observations import CpuTimes

MODES = ("user_s", "system_s", "idle_s", "iowait_s", "irq_s", "softirq_s", "steal_s")
PODS = {
    "0a-1": ("plugin-operator", "operator"),
    "0a-2": ("kube-system", "dns"),
    "0a-3": ("default", "shop"),
}

UIDS = [uid.replace("-", "") for uid in PODS]


class Cluster:
    """The part of an API that strangers are looked up in."""

    core = None

    def call(self, _: Any) -> V1PodList:
        metadata = [
            V1ObjectMeta(uid=uid, namespace=namespace, name=name)
            for uid, (namespace, name) in PODS.items()
        ]
        return V1PodList(items=[V1Pod(metadata=each) for each in metadata])

    @property
    def list_pod_for_all_namespaces(self) -> None:
        """Nothing: ``call`` answers always the same."""


def answer(at_s: float, idle_s: float, boot: str = "one", **more: Any) -> Answer:
    """Of a node with four CPUs."""
    cpu = dict.fromkeys(MODES, 0.0) | {"at_s": at_s, "boot_id": boot, "cpus": 4, "idle_s": idle_s}
    cpu |= {"pods": {}, "containers": {}, "cycles": None, "throttled": {}, "clock_s": 1e9 + at_s}
    generation = more.pop("generation", 1)
    return Answer({"cpu": cpu | more, "counters": {}}, generation)


def put_together(**answers: Answer) -> CpuTimes:
    cluster = Cluster()
    cluster.core = cast(Any, cluster)
    strangers = Strangers(cast(Api, cluster), lambda: ["plugin-operator"])
    owners = Owners(strangers.named, ["plugin-operator"], [])
    plugins = {pod for pod, owner in owners.of(UIDS).items() if owner == "plugin"}
    return cpu_times(answers, {"client": ["c1"]}, strangers, plugins.intersection)


def test_two_kernels_are_read_each_at_its_own_instant() -> None:
    first = put_together(n1=answer(5.0, 0.0), n2=answer(900.0, 0.0, "two"))
    last = put_together(n1=answer(15.0, 30.0), n2=answer(910.5, 40.0, "two"))
    use = CpuUse(first, last)
    assert (use.spans_s, last.cpus) == ({"n1": 10.0, "n2": 10.5}, 8)
    assert use.busy_s == 4 * 10.0 + 4 * 10.5 - 70.0


def test_nodes_are_told_apart_and_estimated_each_by_its_own_frequency() -> None:
    first = put_together(n1=answer(5.0, 0.0), n2=answer(900.0, 0.0, "two"))
    last = put_together(n1=answer(15.0, 30.0, softirq_s=1.0), n2=answer(910.0, 36.0, "two"))
    use = CpuUse(first, last).nodes
    assert [(n, u.cpus, u.busy_s) for n, u in use.items()] == [("n1", 4, 10.0), ("n2", 4, 4.0)]
    fast, slow = (node_cost(node, use[node], {"n1": 3e9, "n2": 1e9}.get) for node in use)
    assert (fast["softirq_s"], fast["cycles"], slow["cycles"]) == (1.0, 30e9, 4e9)
    assert node_cost("n1", use["n1"], lambda _: None)["cycles"] is None


def test_the_plugins_pods_are_counted_one_by_one() -> None:
    of_plugin = "0a1"
    before = put_together(n1=answer(1.0, 0.0, pods={of_plugin: 2.0, "0a3": 1.0}))
    after = put_together(n1=answer(2.0, 0.0, pods={of_plugin: 2.5, "0a3": 9.0}))
    assert CpuUse(before, after).plugin_s == 0.5


def test_of_two_nodes_of_one_kernel_the_first_counts() -> None:
    first = put_together(n1=answer(5.0, 0.0), n2=answer(5.1, 0.1))
    last = put_together(n1=answer(15.0, 30.0), n2=answer(15.4, 30.4))
    use = CpuUse(first, last)
    assert (last.cpus, use.capacity_s, use.busy_s) == (4, 40.0, 10.0)


def test_the_generation_of_each_agent_is_kept() -> None:
    first = put_together(n1=answer(0.0, 0.0, cycles=7), n2=answer(0.0, 0.0, "two", cycles=1))
    last = {"n1": answer(1.0, 0.0, cycles=9), "n2": answer(1.0, 0.0, "two", cycles=2)}
    assert CpuUse(first, put_together(**last)).cycles == 3
    last["n2"] = answer(1.0, 0.0, "two", cycles=2, generation=2)
    anew = CpuUse(first, put_together(**last))
    assert (anew.begun_anew, anew.cycles) == (["n2"], None)


def test_a_pod_and_a_container_that_both_nodes_see_count_once() -> None:
    seen: dict[str, Any] = {"pods": {"0a3": 2.0}, "containers": {"c1": 1.0}}
    later: dict[str, Any] = {"pods": {"0a3": 2.5}, "containers": {"c1": 1.5}}
    times = put_together(n1=answer(1.0, 0.0, **seen), n2=answer(1.0, 0.0, **later))
    assert (times.foreign_s, times.groups) == (2.5, {"client": 1.5})


def test_strangers_are_pods_of_neither_the_cluster_nor_the_plugin() -> None:
    pods = {uid.replace("-", ""): 1.0 for uid in PODS} | {"unknown": 3.0}
    times = put_together(n1=answer(1.0, 0.0, pods=pods))
    assert times.foreign == {"default/shop (0a3)": 1.0, "a pod (unknown)": 3.0}


def test_clocks_and_limits_on_cpu_are_of_each_node() -> None:
    group = "/proc/1/root/sys/fs/cgroup/kubepods/c1"
    first = put_together(n1=answer(5.0, 0.0, throttled={group: 3}), n2=answer(7.0, 0.0))
    set_back = answer(8.0, 0.0, clock_s=1e9 + 5.5)
    use = CpuUse(first, put_together(n1=answer(6.0, 0.0, throttled={group: 5}), n2=set_back))
    assert use.clock_steps_s == {"n1": 0.0, "n2": -2.5}
    assert use.throttled == {"n1:/sys/fs/cgroup/kubepods/c1": 2}
