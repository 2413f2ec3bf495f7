"""A node for tests of the node agent: namespaces of its own, with a root of its own, in memory.

The agent sees it as it sees a real node: process 1 is the node's, with its files and its network.
"""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.lib import tools
from steps.lib.targets.kubernetes import program
from steps.lib.targets.namespaces import cgroups
from steps.lib.targets.namespaces.programs import DIE_WITH_PARENT

UPLINK = "eth0"
ADDRESS = "192.0.2.10"

NODE = r"""
set -e
root=$1 toolbox=$2 program=$3
mount --make-rprivate /
mount -t tmpfs node "$root"
mkdir -p "$root"/{etc/{cni/net.d,sysctl.d},opt/cni/bin,run,tmp,var/{lib/cni,log}}
mkdir -p "$root"/{agent,dev,proc,sys,usr}
ln -s usr/bin "$root/bin"; ln -s usr/lib64 "$root/lib64"
mkdir -p "$root/lib/modules"
for entry in "$toolbox"/usr/lib/*; do ln -s "/usr/lib/${entry##*/}" "$root/lib"; done
ln -s usr/sbin "$root/sbin"; ln -s /run "$root/var/run"
mount --bind "$toolbox/usr" "$root/usr"
mount --bind "$toolbox" "$root/agent"
mount -o remount,bind,ro "$root/usr"
mount -o remount,bind,ro "$root/agent"
mount --bind "$program" "$root/agent/mnt"
mount --rbind /dev "$root/dev"
for place in "$root" "$root/agent"; do
    mount -t proc proc "$place/proc"
    mount -t sysfs sysfs "$place/sys"
    mount -t tmpfs shm "$place/tmp"
done
mount -t bpf bpf "$root/sys/fs/bpf"
mount -t tmpfs cgroup "$root/sys/fs/cgroup"
mount -t tmpfs run "$root/agent/run"
ip link set lo up
ip link add eth0 type veth peer name wire && ip link set wire up && ip link set eth0 up
ip address add 192.0.2.10/24 dev eth0
ip route add default via 192.0.2.1
echo ready
exec chroot "$root" sleep infinity
"""


@dataclass
class AgentNode:
    """A node, and the agent on it."""

    root: Path
    init: int
    agent: "subprocess.Popen[bytes]"

    def ask(self, line: bytes) -> dict[str, Any]:
        """Send a line and read the answer."""
        assert self.agent.stdin is not None and self.agent.stdout is not None
        self.agent.stdin.write(line + b"\n")
        self.agent.stdin.flush()
        answer: dict[str, Any] = json.loads(self.agent.stdout.readline())
        return answer

    def answer(self, call: str, **arguments: Any) -> dict[str, Any]:
        """The whole answer to a call."""
        return self.ask(json.dumps({"id": 7, "call": call, "arguments": arguments}).encode())

    def call(self, call: str, **arguments: Any) -> Any:
        """The result of a call that must succeed."""
        answer = self.answer(call, **arguments)
        assert "error" not in answer, answer
        return answer["result"]

    def error(self, call: str, **arguments: Any) -> str:
        """Class and message of a call that must fail."""
        error = self.answer(call, **arguments)["error"]
        return f"{error['type']}: {error['message']}"

    def inventory(self) -> dict[str, set[str]]:
        """What there is on the node."""
        found = self.call("inventory", uplink=UPLINK)
        return {kind: set(lines) for kind, lines in found.items()}

    def run(self, script: str) -> str:
        """Run sh on the node, with the tool box's programs."""
        return output([*self.entering, "sh", "-ec", script])

    @property
    def entering(self) -> list[str]:
        """Begins a command that is to run as a process of the node."""
        places = ("--mount", "--net", "--pid", "--uts", "--root", "--wd")
        return ["nsenter", "--target", str(self.init), *places, "--"]


def output(command: list[str]) -> str:
    """Standard output of a command that must succeed."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def agent_node() -> Iterator[AgentNode]:
    """A node with an agent, for the time of the block; both die with it."""
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "program")
        for path, text in program.files().items():
            (code / path).parent.mkdir(parents=True, exist_ok=True)
            (code / path).write_text(text)
        root = Path(folder, "node")
        root.mkdir()
        private = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
        script = ["bash", "-c", NODE, "node", str(root), str(tools.toolbox()), str(code)]
        with subprocess.Popen(
            [*DIE_WITH_PARENT, "unshare", *private, *script], stdout=subprocess.PIPE
        ) as node:
            try:
                assert node.stdout is not None
                assert node.stdout.readline() == b"ready\n"
                children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text()
                init = int(children.split()[0])
                while not Path(f"/proc/{init}/root/agent").exists():
                    time.sleep(0.005)  # It has still to enter its root.
                yield from _with_agent(root, init)
            finally:
                node.kill()


def _with_agent(root: Path, init: int) -> Iterator[AgentNode]:
    node = AgentNode(root, init, None)  # type: ignore[arg-type]
    command = ["chroot", "/agent", "env", "PYTHONPATH=/mnt", "python3", "-B", "-m", program.MODULE]
    with subprocess.Popen(
        [*DIE_WITH_PARENT, *node.entering, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as agent:
        node.agent = agent
        try:
            yield node
        finally:
            agent.kill()


@contextmanager
def container(node: AgentNode, script: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A process with a network of its own on the node, and an identifier as runtimes give them."""
    identifier = uuid.uuid4().hex * 2
    groups = cgroups.Groups(f"cnibench-test-{uuid.uuid4().hex[:8]}")
    entry = groups.entry(identifier)
    joining = ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(entry)]
    inside = ["unshare", "--net", "sh", "-c", script]
    with subprocess.Popen(
        [*DIE_WITH_PARENT, *joining, *node.entering, *inside],
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
    ) as process:
        try:
            yield identifier, process
        finally:
            process.kill()  # It may not have joined the group yet.
            cgroups.kill_all(groups.processes)
            groups.remove()
