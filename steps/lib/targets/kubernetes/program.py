"""The node agent's program as files for a ConfigMap: the same modules as here, no packages."""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[4]
MODULE = "steps.lib.targets.kubernetes.agent"

SHARED = (
    "steps/lib/errors.py",
    "steps/lib/setting.py",
    "steps/lib/targets/cycles.py",
    "steps/lib/targets/features.py",
    "steps/lib/targets/kernel_symbols.py",
    "steps/lib/targets/netfilter.py",
    "steps/lib/targets/perf_event.py",
    "steps/lib/targets/proc.py",
    "steps/lib/targets/sampling.py",
    "steps/lib/targets/wire.py",
    "steps/lib/targets/namespaces/netns.py",
    "steps/lib/targets/namespaces/programs.py",
    "steps/lib/targets/namespaces/settings.py",
    "steps/lib/targets/namespaces/sockets.py",
    "steps/lib/targets/namespaces/tuning/access.py",
    "steps/lib/targets/namespaces/tuning/cpus.py",
    "steps/lib/targets/namespaces/tuning/ethtool.py",
    "steps/lib/targets/namespaces/tuning/kinds.py",
    "steps/lib/targets/namespaces/tuning/links.py",
    "steps/lib/targets/namespaces/tuning/machine.py",
    "steps/lib/targets/namespaces/tuning/smt.py",
    "steps/lib/targets/namespaces/tuning/sysctls.py",
)
"""What the agent has in common with the embedded target; standard library only.

Without the ``__init__.py`` of their packages, which import much more: folders are packages too.
"""


@cache
def files() -> dict[str, str]:
    """Text of each file by its path below the folder from which the program is started."""
    own = [str(p.relative_to(ROOT)) for p in Path(__file__).parent.glob("agent/*.py")]
    return {path: (ROOT / path).read_text() for path in (*sorted(own), *SHARED)}


@cache
def digest() -> str:
    """sha256 over all files: agents with another one are replaced."""
    total = hashlib.sha256()
    for path, text in sorted(files().items()):
        total.update(f"{path}\0{text}\0".encode())
    return total.hexdigest()


def key(path: str) -> str:
    """Name of a file in the ConfigMap, where names have no slashes."""
    return path.replace("/", ".")
