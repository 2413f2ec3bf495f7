"""The program on the nodes answers whatever it is asked, and does what a node needs."""

import ast
import gzip
import json
import platform
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.targets.kubernetes import program
from tests.agent_nodes import ADDRESS, AgentNode, agent_node

pytestmark = pytest.mark.namespaces


@pytest.fixture(scope="module")
def node() -> Iterator[AgentNode]:
    with agent_node() as made:
        yield made


# ---------- requests and answers
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe",
        b'{"id": 1}',
        b'{"call": "ping"}',
        b'{"id": 1, "call": ["ping"]}',
        b'{"id": 1, "call": "no_such_call"}',
        b'{"id": 1, "call": "ping", "arguments": []}',
        b'{"id": 1, "call": "ping", "arguments": {"unknown": 1}}',
        b'{"id": 1, "call": "exists", "arguments": {}}',
        b'{"id": 1, "call": "exists", "arguments": {"path": 7}}',
        b'{"id": 1, "call": "counters", "arguments": {"container": {}}}',
        b"[" * 100_000,
    ],
)
def test_whatever_is_asked_is_answered_and_the_next_request_too(
    node: AgentNode, line: bytes
) -> None:
    answer = node.ask(line) if line.strip() else node.ask(b"{}")
    assert answer["error"]["type"] == "CnibenchError"
    assert node.call("ping")["pid"] > 1


def test_answers_carry_the_number_of_their_request(node: AgentNode) -> None:
    request = {"id": "a-7", "call": "ping", "arguments": {}}
    assert node.ask(json.dumps(request).encode())["id"] == "a-7"


def test_the_agent_ends_with_its_standard_input() -> None:
    with agent_node() as node:
        assert node.agent.stdin is not None
        node.agent.stdin.close()
        assert node.agent.wait(5) == 0


def test_the_program_needs_nothing_but_the_standard_library() -> None:
    shipped = set(program.files())
    for path, text in program.files().items():
        for statement in ast.walk(ast.parse(text)):
            if isinstance(statement, ast.ImportFrom) and statement.module:
                names = [f"{statement.module}.{a.name}" for a in statement.names]
                modules = [statement.module, *names]
            elif isinstance(statement, ast.Import):
                modules = [alias.name for alias in statement.names]
            else:
                continue
            own = [m for m in modules if m.startswith("steps.")]
            if own:
                files = {f"{m.replace('.', '/')}.py" for m in own}
                packages = {f"{m.replace('.', '/')}/__init__.py" for m in own}
                assert shipped & (files | packages), f"{path}: {own} is not shipped"
            else:
                assert modules[0].split(".")[0] in sys.stdlib_module_names, path


def test_the_program_fits_into_a_config_map() -> None:
    assert sum(map(len, program.files().values())) < 512 * 1024
    keys = [program.key(path) for path in program.files()]
    assert len(set(keys)) == len(keys)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for key in keys)


# ---------- facts, kernel, settings
def test_facts_name_the_device_that_has_the_nodes_address(node: AgentNode) -> None:
    facts = node.call("facts", address=ADDRESS)
    assert facts["uplink"] == "eth0"
    assert facts["underlay_mtu_bytes"] == 1500
    assert facts["cpus"] >= 1 and facts["memory_bytes"] > 1 << 20
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert "198.51.100.1" in node.error("facts", address="198.51.100.1")


@pytest.mark.parametrize(("said", "known"), [("iptables\n", "iptables"), ("<html>", None)])
def test_kube_proxy_says_its_mode(node: AgentNode, said: str, known: str | None) -> None:
    assert node.call("facts", address=ADDRESS)["kube_proxy_mode"] is None
    node.run(f"ip link set lo up; mkdir -p /tmp/proxy; printf '{said}' >/tmp/proxy/proxyMode")
    answer_once = (
        "import http.server as h, os; os.chdir('/tmp/proxy');"
        "h.HTTPServer(('127.0.0.1', 10249), h.SimpleHTTPRequestHandler).handle_request()"
    )
    command = [*node.entering, "python3", "-c", answer_once]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL):
        node.run("until ss -Hltn | grep -q :10249; do sleep 0.05; done")
        assert node.call("facts", address=ADDRESS)["kube_proxy_mode"] == known


def test_kinds_of_link_are_found_by_trying(node: AgentNode) -> None:
    assert node.call("link_kind_problem", kind="veth") is None
    assert node.call("link_kind_problem", kind="vxlan") is None  # Which needs parameters.
    assert node.call("link_kind_problem", kind="no-such-kind") == "Operation not supported"
    assert not [x for x in node.inventory()["links"] if x.startswith("trial")]


def test_a_module_that_nobody_has_is_not_there(node: AgentNode) -> None:
    assert node.call("module_state", name="no_such_module") in ("absent", "unknown")
    assert node.call("module_state", name="bridge") in ("loaded", "builtin", "loadable")


def test_modules_are_known_from_the_nodes_lists(node: AgentNode) -> None:
    folder = f"/lib/modules/{platform.release()}"
    node.run(f"mkdir {folder}")
    node.run(f"echo kernel/net/some-thing.ko >{folder}/modules.builtin")
    node.run(f"echo 'kernel/net/other.ko.xz: kernel/x.ko' >{folder}/modules.dep")
    states = {n: node.call("module_state", name=n) for n in ("some_thing", "other", "no_such")}
    node.run(f"rm -r {folder}")
    assert states == {"some_thing": "builtin", "other": "loadable", "no_such": "absent"}


def test_modules_are_known_from_the_kernels_configuration(node: AgentNode) -> None:
    if not Path("/proc/config.gz").exists() or Path("/proc/modules").exists():
        pytest.skip("this kernel has modules, or does not tell its configuration")
    text = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines()
    for name, option in (("openvswitch", "OPENVSWITCH"), ("esp4", "INET_ESP")):
        there = f"CONFIG_{option}=y" in text
        expected = "builtin" if there else "absent"
        assert node.call("module_state", name=name) == expected


def test_settings_are_those_of_the_node(node: AgentNode) -> None:
    name = "net.ipv4.tcp_rmem"
    machine = Path("/proc/sys/net/ipv4/tcp_rmem").read_text()
    node.call("write_setting", name=name, value="4096 131072 7654321")
    assert node.call("read_setting", name=name) == "4096 131072 7654321"
    assert Path("/proc/sys/net/ipv4/tcp_rmem").read_text() == machine
    assert node.call("read_setting", name="net.ipv4.no_such_name") is None
    assert node.call("read_settings", names=[name, "net.x"])["net.x"] is None


def test_a_setting_that_the_kernel_refuses_is_refused(node: AgentNode) -> None:
    error = node.error("write_setting", name="net.ipv4.ip_forward", value="nonsense")
    assert error.startswith("RefusedError: net.ipv4.ip_forward")
    assert node.error("write_setting", name="net.no.such", value="1").startswith("RefusedError")


# ---------- files and programs
def test_files_are_written_with_their_mode_and_read_back(node: AgentNode) -> None:
    path = "/etc/cni/net.d/10-x.conflist"
    node.call("write_file", path=path, text="first")
    node.call("write_file", path=path, text="täxt\n", mode=0o600)
    assert node.run(f"stat --format=%a {path}; ls -A /etc/cni/net.d") == "600\n10-x.conflist\n"
    found = node.call("read_file", path=path)
    assert found["text"] == "täxt\n" and found["bytes"] == 6
    assert node.call("hashes", directory="/etc/cni/net.d") == {"10-x.conflist": found["sha256"]}
    assert node.call("remove", pattern=path) == [path]
    assert node.call("read_file", path=path) is None
    assert node.call("exists", path=path) is False
    assert node.call("hashes", directory="/no/such") == {}


def test_links_lead_through_the_nodes_own_files(node: AgentNode) -> None:
    node.call("write_file", path="/var/run/plugin/x", text="")  # /var/run is a link to /run.
    assert node.run("ls /run/plugin") == "x\n"
    assert node.call("exists", path="/var/run/plugin/x") is True
    assert node.call("remove", pattern="/var/run/plugin") == ["/var/run/plugin"]
    assert node.call("exists", path="/run/plugin") is False


def test_paths_that_are_not_absolute_are_refused(node: AgentNode) -> None:
    for path in ("etc/x", "/etc/../x", ""):
        assert node.error("write_file", path=path, text="").startswith("RefusedError")


def test_programs_run_in_the_network_of_the_node(node: AgentNode) -> None:
    told = node.call("run", command=["sh", "-c", "ip -o link show eth0; echo bad >&2; exit 3"])
    assert (told["exit_code"], told["stderr"]) == (3, "bad\n")
    assert "eth0" in told["stdout"]


def test_a_program_that_does_not_end_is_ended(node: AgentNode) -> None:
    error = node.error("run", command=["sleep", "60.4711"], timeout_s=0.3)
    assert "did not end within 0.3 s" in error
    assert "sleep 60.4711" not in subprocess.check_output(["ps", "-eo", "args"], text=True)


def test_nothing_of_the_node_is_left_behind() -> None:
    with agent_node() as node:
        init = node.init
        mounted = Path("/proc/mounts").read_text()
        assert stat.S_ISDIR(Path(f"/proc/{init}/root/etc/cni").stat().st_mode)
    assert not Path(f"/proc/{init}/root/etc/cni").exists()
    assert "/node/" not in mounted
