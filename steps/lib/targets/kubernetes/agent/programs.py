"""Running programs: the agent's own in some network, or a container's where they are."""

from collections.abc import Sequence
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import places
from steps.lib.targets.namespaces import programs

OUTPUT_BYTES_MAX = 1 << 20
LIMIT_S = 20.0

_NOT_FOUND = 127
"""What ``nsenter`` ends with if there is no such program."""

_ABSENT = (
    "Operation not supported",
    "Protocol not supported",
    "Address family not supported",
    "FIB table does not exist",
    "Table does not exist",  # iptables-legacy
    "Cannot find device",  # ip, tc
    "No such device",  # ethtool
    # Without nf_tables (https://github.com/linkerd/linkerd2/issues/9053).
    "generation id: Invalid argument",
    "cache initialization failed: Invalid argument",
    # ipset, without ip_set (https://github.com/balena-os/balena-intel/issues/29).
    "Cannot open session to kernel",
    "Kernel error received: Invalid argument",
)
"""How programs say that the kernel has not what they are asked about, or has it no more. Not "No
such file": so they also say that they have no library to read a rule with."""


def output(*command: str) -> str:
    """What one of the agent's programs prints about the node's network; it must succeed."""
    return programs.output(command, namespace=places.NODE_NETWORK)


def lines(*command: str) -> list[str]:
    """As ``output``, by lines; nothing where the program or what it asks is absent.

    Raises:
        RefusedError: it failed otherwise, and what there is stays unknown.
    """
    result = programs.run(command, namespace=places.NODE_NETWORK)
    if result.exit_code == 0:
        return result.stdout.decode("utf-8", "replace").splitlines()
    said = result.stderr.decode("utf-8", "replace").strip()
    if result.exit_code == _NOT_FOUND or any(words in said for words in _ABSENT):
        return []
    raise RefusedError(f"`{' '.join(command)}` ended with {result.exit_code}: {said[-500:]}")


def attempt(*command: str, stdin: str = "") -> str | None:
    """Run one in the node's network; the reason if it fails."""
    result = programs.run(command, namespace=places.NODE_NETWORK, stdin=stdin.encode())
    said = result.stderr.decode("utf-8", "replace").strip()
    return (said or f"ended with {result.exit_code}") if result.exit_code else None


def run(
    command: Sequence[str], container: str | None = None, timeout_s: float = LIMIT_S
) -> dict[str, Any]:
    """Run a program of the agent's image in the network of a container, or of the node."""
    result = programs.run(command, namespace=places.network(container), timeout_s=timeout_s)
    return _told(result)


def run_in_container(
    command: Sequence[str], container: str, timeout_s: float = LIMIT_S
) -> dict[str, Any]:
    """Run a container's own program where its main process is: same files, same network."""
    target = ("--target", str(places.main_process(container)))
    entering = ("nsenter", *target, "--mount", "--net", "--uts", "--ipc", "--root", "--wd", "--")
    return _told(programs.run([*entering, *command], timeout_s=timeout_s))


def _told(result: programs.Result) -> dict[str, Any]:
    return {
        "exit_code": result.exit_code,
        "stdout": result.stdout[:OUTPUT_BYTES_MAX].decode("utf-8", "replace"),
        "stderr": result.stderr[:OUTPUT_BYTES_MAX].decode("utf-8", "replace"),
    }
