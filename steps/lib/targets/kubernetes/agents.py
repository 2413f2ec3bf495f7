"""The node agents: one privileged pod on each node, asked by JSON lines over an ``exec`` stream."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from steps.lib import errors
from steps.lib.errors import CnibenchError, TransientError
from steps.lib.targets.kubernetes import objects, pods, program
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api
from steps.lib.targets.kubernetes.streams import BrokenStreamError, Stream, open_stream
from steps.lib.targets.protocol import Inventory, Node, NodeFacts

LABELS = PART_OF | {"app.kubernetes.io/component": "agent"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
DIGEST_ANNOTATION = "cnibench.io/program"

CONTAINER = "agent"
FOLDER = "/cnibench"
COMMAND = ("env", f"PYTHONPATH={FOLDER}", "python3", "-B", "-m", program.MODULE)

ANSWER_TIMEOUT_S = 60.0
"""For any call; what takes longer by itself has a ``timeout_s`` of its own, which is added."""


class Agents:
    """Agents on some nodes, by the nodes' names. May be used by several threads.

    Args:
        api: The cluster.
        image: The tool box, which has Python and the programs that look at a node's network.
        nodes: Names of nodes.
    """

    def __init__(self, api: Api, image: str, nodes: Sequence[str]) -> None:
        self._api, self._image, self._nodes = api, image, tuple(nodes)
        self._streams: dict[str, Stream] = {}
        self._locks = {node: threading.Lock() for node in self._nodes}
        self._interrupted: set[str] = set()

    # ---------- life
    def ensure(self) -> None:
        """Bring an agent to every node, and wait for it; one that is there already stays.

        Raises:
            RefusedError: one does not start.
        """
        missing = [node for node in self._nodes if not self._is_there(node)]
        if not missing:
            return
        pods.delete(self._api, *(_name(node) for node in missing))
        self._write_program()
        for node in missing:
            pods.create(self._api, self._body(node))
        for node in missing:
            pods.wait_started(self._api, _name(node))
        self._forget_programs(all_but=_program_name())

    def close(self) -> None:
        """Hang up; the pods stay."""
        for node in self._nodes:
            with self._locks[node]:
                self._hang_up(node)

    def remove(self) -> None:
        """Take all agents away, also those of earlier versions. Idempotent."""
        self.close()
        api = self._api
        listed = api.get(api.core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR)
        pods.delete(api, *(pod.metadata.name for pod in (listed.items if listed else ())))
        self._forget_programs(all_but=None)

    # ---------- calls
    def call(self, node: str, call: str, /, **arguments: Any) -> Any:
        """Have an agent do something and return what came of it.

        All calls may be repeated: when the stream breaks (the API server was restarted) it is
        opened anew, once, and the request is sent again.

        Raises:
            CnibenchError: of the class that the agent named, with its message.
            TransientError: the agent does not answer.
        """
        timeout_s = ANSWER_TIMEOUT_S + float(arguments.get("timeout_s", 0.0))
        with self._locks[node]:
            answer = self._ask_twice(node, call, arguments, timeout_s)
        if "error" in answer:
            raise _error(node, answer["error"])
        return answer["result"]

    def call_each(self, call: str, arguments: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Have several agents do something at the same time, each with arguments of its own."""
        with ThreadPoolExecutor(max(1, len(arguments))) as threads:
            tasks = {n: threads.submit(self.call, n, call, **a) for n, a in arguments.items()}
            return {node: task.result() for node, task in tasks.items()}

    def was_interrupted(self, node: str) -> bool:
        """Whether an agent was started anew, so that what it counted itself began again."""
        return node in self._interrupted

    # ---------- what is asked often
    def facts(self, node: Node) -> NodeFacts:
        """What a node is."""
        found = self.call(node.name, "facts", address=node.address)
        return NodeFacts(**{name: found[name] for name in NodeFacts.__dataclass_fields__})

    def inventory(self, node: Node) -> Inventory:
        """What there is on a node, without anything volatile."""
        found = self.call(node.name, "inventory", uplink=node.uplink)
        return {kind: frozenset(lines) for kind, lines in found.items()}

    # ---------- streams
    def _ask_twice(
        self, node: str, call: str, arguments: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        try:
            try:
                return self._stream(node).ask(call, arguments, timeout_s)
            except BrokenStreamError:
                self._hang_up(node)
                self._interrupted.add(node)
                return self._stream(node).ask(call, arguments, timeout_s)
        except (BrokenStreamError, TransientError) as error:
            self._hang_up(node)
            raise TransientError(f"the agent on node {node} does not answer: {error}") from error

    def _stream(self, node: str) -> Stream:
        if node not in self._streams:
            self._streams[node] = open_stream(self._api, _name(node), CONTAINER, COMMAND)
        return self._streams[node]

    def _hang_up(self, node: str) -> None:
        stream = self._streams.pop(node, None)
        if stream is not None:
            stream.close()

    # ---------- pods
    def _is_there(self, node: str) -> bool:
        pod = pods.read(self._api, _name(node))
        if pod is None or not pods.is_started(pod):
            return False
        same_program = (pod.metadata.annotations or {}).get(DIGEST_ANNOTATION) == program.digest()
        return same_program and pod.spec.containers[0].image == self._image

    def _write_program(self) -> None:
        """A ConfigMap of its own for each version: a changed one reaches pods at any time."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": _program_name(), "namespace": NAMESPACE, "labels": LABELS},
            "data": {program.key(path): text for path, text in program.files().items()},
        }
        if self._api.get(self._api.core.read_namespaced_config_map, _program_name(), NAMESPACE):
            return
        objects.apply(self._api, body)

    def _forget_programs(self, all_but: str | None) -> None:
        api = self._api
        maps = api.get(api.core.list_namespaced_config_map, NAMESPACE, label_selector=SELECTOR)
        for config_map in maps.items if maps else ():
            if config_map.metadata.name != all_but:
                api.get(api.core.delete_namespaced_config_map, config_map.metadata.name, NAMESPACE)

    def _body(self, node: str) -> dict[str, Any]:
        items = [{"key": program.key(path), "path": path} for path in program.files()]
        container = {
            "name": CONTAINER,
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "infinity"],
            "securityContext": {"privileged": True},
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "volumeMounts": [{"name": "program", "mountPath": FOLDER, "readOnly": True}],
        }
        return {
            "metadata": {
                "name": _name(node),
                "labels": LABELS,
                "annotations": {DIGEST_ANNOTATION: program.digest()},
            },
            "spec": {
                "nodeName": node,
                "hostNetwork": True,
                "hostPID": True,
                "dnsPolicy": "Default",
                "tolerations": [{"operator": "Exists"}],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "containers": [container],
                "volumes": [
                    {"name": "program", "configMap": {"name": _program_name(), "items": items}}
                ],
            },
        }


def _name(node: str) -> str:
    return f"cnibench-agent-{node}"


def _program_name() -> str:
    return f"cnibench-agent-{program.digest()[:12]}"


def _error(node: str, told: dict[str, str]) -> CnibenchError:
    kind = getattr(errors, told["type"], CnibenchError)
    return kind(f"node {node}: {told['message']}")
