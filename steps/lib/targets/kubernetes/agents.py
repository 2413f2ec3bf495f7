"""The node agents: one privileged pod on each node, asked by JSON lines over an ``exec`` stream."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from steps.lib import errors
from steps.lib.errors import CnibenchError, RefusedError, TransientError
from steps.lib.targets.kubernetes import objects, pods, program
from steps.lib.targets.kubernetes.api import NAMESPACE, PART_OF, Api
from steps.lib.targets.kubernetes.streams import BrokenStreamError, Stream, open_stream
from steps.lib.targets.protocol import Inventory, Node, NodeFacts

LABELS = PART_OF | {"app.kubernetes.io/component": "agent"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())
NAME_PREFIX = "cnibench-agent-"
DIGEST_ANNOTATION = "cnibench.io/program"

CONTAINER = "agent"
FOLDER = "/cnibench"
COMMAND = ("env", f"PYTHONPATH={FOLDER}", "python3", "-B", "-m", program.MODULE)

ANSWER_TIMEOUT_S = 60.0
"""For any call; what takes longer by itself has a ``timeout_s`` of its own, which is added."""

logger = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What an agent answered, and its generation: another one counts its own from zero again."""

    result: Any
    generation: int


class Agents:
    """Agents on some nodes, by the nodes' names. May be used by several threads.

    Making one asks nothing, and needs no agent to be there; ``remove`` neither.

    Args:
        api: The cluster.
        image: The tool box, which has Python and the programs that look at a node's network.
        nodes: Names of nodes.
    """

    def __init__(self, api: Api, image: str, nodes: Sequence[str]) -> None:
        self._api, self._image, self._nodes = api, image, tuple(nodes)
        self._streams: dict[str, Stream] = {}
        self._locks = {node: threading.Lock() for node in self._nodes}
        self._generations: Counter[str] = Counter()
        self._wanted = False
        """Whether they were brought by us, and not taken away since."""

    # ---------- life
    def ensure(self) -> None:
        """Bring an agent to every node, and wait for it; one that is there already stays.

        A node that does not report, or was deleted, is left out, since the others may have to be
        put back without it: who asks it is told why it has none.

        Raises:
            RefusedError: one does not start.
        """
        self._wanted = True
        missing = [node for node in self._nodes if not self._is_there(node)]
        working = [node for node in missing if self._works(node)]
        if working:
            self._bring(working)
            self._forget_programs(all_but=_program_name())

    def _works(self, node: str) -> bool:
        problem = pods.node_problem(self._api, node)
        if problem:
            logger.warning("it has no agent: %s", problem)
        return problem is None

    def close(self) -> None:
        """Hang up; the pods stay."""
        for node in self._nodes:
            with self._locks[node]:
                self._hang_up(node)

    def remove(self) -> None:
        """Take all agents away, also those of earlier versions. Idempotent."""
        self._wanted = False
        self.close()
        api = self._api
        listed = api.get(api.core.list_namespaced_pod, NAMESPACE, label_selector=SELECTOR)
        pods.delete(api, *(pod.metadata.name for pod in (listed.items if listed else ())))
        self._forget_programs(all_but=None)

    # ---------- calls
    def call(self, node: str, call: str, /, **arguments: Any) -> Any:
        """Have an agent do something and return what came of it.

        All calls may be repeated: when the stream breaks (the API server was restarted) it is
        opened anew, once, and the request is sent again. So is an agent whose pod was lost.

        Raises:
            CnibenchError: of the class that the agent named, with its message; or there is no agent
                on this node.
            TransientError: the agent does not answer.
        """
        return self._ask(node, call, arguments).result

    def call_each(self, call: str, arguments: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Have several agents do something at the same time, each with arguments of its own."""
        return {node: each.result for node, each in self.answers(call, arguments).items()}

    def answers(self, call: str, arguments: Mapping[str, dict[str, Any]]) -> dict[str, Answer]:
        """As ``call_each``, with the generations of those that answered."""
        with ThreadPoolExecutor(max(1, len(arguments))) as threads:
            tasks = {n: threads.submit(self._ask, n, call, a) for n, a in arguments.items()}
            return {node: task.result() for node, task in tasks.items()}

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
    def _ask(self, node: str, call: str, arguments: dict[str, Any]) -> Answer:
        if node not in self._locks:
            raise CnibenchError(f"no agent is on node {node}, only on {', '.join(self._nodes)}")
        timeout_s = ANSWER_TIMEOUT_S + float(arguments.get("timeout_s", 0.0))
        self._api.require_ownership()
        with self._locks[node]:
            told = self._ask_twice(node, call, arguments, timeout_s)
            generation = self._generations[node]
        if "error" in told:
            raise _error(node, told["error"])
        return Answer(told["result"], generation)

    def _ask_twice(
        self, node: str, call: str, arguments: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        try:
            try:
                return self._stream(node).ask(call, arguments, timeout_s)
            except BrokenStreamError:
                self._hang_up(node)
                return self._stream(node).ask(call, arguments, timeout_s)
        except (BrokenStreamError, RefusedError, TransientError) as error:
            self._hang_up(node)
            raise TransientError(f"the agent on node {node} does not answer: {error}") from error

    def _stream(self, node: str) -> Stream:
        if node not in self._streams:
            self._streams[node] = self._opened(node)
            self._generations[node] += 1
        return self._streams[node]

    def _opened(self, node: str) -> Stream:
        """Start the agent's process, if need be in a new pod, made once."""
        was_lost = self._bring_again(node)
        try:
            return open_stream(self._api, _name(node), CONTAINER, COMMAND)
        except TransientError:
            # Of an eviction the API server may be told after the pod's processes were ended.
            if was_lost or not self._bring_again(node):
                raise
        return open_stream(self._api, _name(node), CONTAINER, COMMAND)

    def _hang_up(self, node: str) -> None:
        stream = self._streams.pop(node, None)
        if stream is not None:
            stream.close()

    # ---------- pods
    def _bring(self, nodes: Sequence[str]) -> None:
        pods.delete(self._api, *map(_name, nodes))
        self._write_program()
        for node in nodes:
            pods.create(self._api, self._body(node))
        for node in nodes:
            try:
                pods.wait_started(self._api, _name(node))
            except RefusedError:
                # Of a node that died, the API server knows only after a while.
                if self._works(node):
                    raise

    def _bring_again(self, node: str) -> bool:
        """Make an agent's pod anew if it was evicted or deleted.

        Raises:
            TransientError: its node does not work.
        """
        if not self._wanted or not self._is_lost(node):
            return False
        problem = pods.node_problem(self._api, node)
        if problem:
            raise TransientError(problem)
        logger.warning("node=%s its agent was lost and is brought again", node)
        self._bring([node])
        return True

    def _is_lost(self, node: str) -> bool:
        pod = pods.read(self._api, _name(node))
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return True
        return pod.status.phase in pods.ENDED

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
    return f"{NAME_PREFIX}{node}"


def _program_name() -> str:
    return f"{NAME_PREFIX}{program.digest()[:12]}"


def _error(node: str, told: dict[str, str]) -> CnibenchError:
    kind = getattr(errors, told["type"], CnibenchError)
    return kind(f"node {node}: {told['message']}")
