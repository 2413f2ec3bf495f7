"""Habits that keep the code readable, checked where that is cheap."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from steps.lib.catalog import Catalog
from steps.lib.models import HostNetwork

ROOT = Path(__file__).parents[1]
CODE = ("steps", "workflows", "cnibench")
LINES_MAX = 350

MECHANISMS = {
    "api", "bandwidth", "bgp", "bridge", "cni", "dual", "ebpf", "gateway", "geneve", "gw", "host",
    "ipip", "ipsec", "kube", "kubernetes", "macvlan", "masquerade", "native", "network", "nftables",
    "no", "noencap", "proxy", "ptp", "router", "routes", "rules", "stack", "vxlan", "wireguard",
}  # fmt: skip
"""Words in names of plugins that are words of the kernel, of CNI and of Kubernetes too."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def names_of_plugins() -> set[str]:
    """Every plugin's name, and the words in it that mean nothing but it."""
    names = set(Catalog().plugins.names)
    words = {word for name in names for word in name.split("-") if not word.isdigit()}
    return names | words - MECHANISMS


def test_no_code_names_a_plugin() -> None:
    # The baseline without a pod network is called like the mechanism that it uses.
    mechanisms = get_args(HostNetwork.model_fields["mechanism"].annotation)
    names = sorted(names_of_plugins() - set(mechanisms), key=len, reverse=True)
    named = re.compile(rf"(?<![\w-])({'|'.join(names)})(?![\w-])")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in sources(*CODE)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := named.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_files_are_short_enough_to_read_at_once(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(folder)
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def public(node: ast.AST, owner: str = "") -> Iterator[tuple[str, Function]]:
    """Functions and classes that others may use, with their names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function) and not child.name.startswith("_"):
            name = f"{owner}{child.name}"
            yield name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{name}.")


def test_every_public_function_says_what_it_does() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(*CODE)
        for name, node in public(ast.parse(path.read_text()))
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("steps", "workflows")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert printing == []


def test_pods_of_a_block_load_no_library_that_they_have_no_use_for() -> None:
    """Each stage is a process of its own, and begins by importing."""
    heavy = ("duckdb", "helm_python", "matplotlib", "pyroute2", "scipy")
    code = (
        "import sys, steps.pipeline, steps.lib.targets.kubernetes.target\n"
        f"sys.exit(', '.join(m for m in {heavy!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "import it where it is used"
