"""Taking away what a plugin left on the node, as its description declares it.

Everything is idempotent: what is not there is fine. What was taken away is reported line by line,
and so is what could not be; an action that fails does not keep the others from being tried.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from steps.lib.errors import CnibenchError, RefusedError
from steps.lib.targets.kubernetes.agent import (
    clean_filters,
    clean_links,
    clean_routes,
    files,
    kernel,
    things,
)
from steps.lib.targets.kubernetes.agent.outcome import Outcome

Action = Callable[[Sequence[str]], Iterator[Outcome]]


def clean(actions: dict[str, list[str]]) -> dict[str, Any]:
    """Carry out actions in the order in which they do not hinder each other.

    Args:
        actions: Patterns or selectors by the names of ``ACTIONS``.

    Returns:
        ``removed`` and ``problems``, each a list of lines.
    """
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown:
        raise RefusedError(f"no such action: {', '.join(unknown)}; there are {', '.join(ACTIONS)}")
    removed: list[str] = []
    problems: list[str] = []
    for kind, action in ACTIONS.items():
        try:
            for outcome in action(actions.get(kind, ())):
                if outcome.problem:
                    problems.append(f"{outcome.what}: {outcome.problem}")
                else:
                    removed.append(outcome.what)
        except (CnibenchError, OSError, ValueError) as error:
            problems.append(f"{kind}: {error}")
    return {"removed": removed, "problems": problems}


def _paths(patterns: Sequence[str]) -> Iterator[Outcome]:
    for pattern in patterns:
        files.refuse_wide(pattern)
    for pattern in patterns:
        for path in files.remove(pattern):
            yield Outcome(path)


def _bpf_pins(patterns: Sequence[str]) -> Iterator[Outcome]:
    for pattern in patterns:
        if not pattern.strip("/*?.") or pattern.startswith("/"):
            raise RefusedError(f"{pattern!r}: write whose pins, below {things.BPF_FILES}")
    for pattern in patterns:
        for path in files.remove(f"{things.BPF_FILES}/{pattern}"):
            yield Outcome(f"bpf pin {path}")


def _modules(names: Sequence[str]) -> Iterator[Outcome]:
    for name in names:
        if name.replace("-", "_") in kernel.loaded_modules():
            yield Outcome(f"module {name}", kernel.unload_module(name))


ACTIONS: dict[str, Action] = {
    "tc": clean_links.programs_of_devices,
    "bpf_pins": _bpf_pins,
    "rules": clean_routes.rules,
    "routes": clean_routes.routes,
    "links": clean_links.links,
    "iptables": clean_filters.iptables,
    "nft_tables": clean_filters.nft_tables,
    "ipsets": clean_filters.ipsets,
    "paths": _paths,
    "modules": _modules,
}
"""In order: programs before the devices that they are on, rules of the packet filter before the
sets that they ask, modules last."""
