"""Taking away what a plugin left on the node, as its description declares it.

Everything is idempotent: what is not there is fine. What was taken away is reported line by line,
and so is what could not be; an action that fails does not keep the others from being tried.

Actions only find: they change nothing, so that the same ones tell beforehand what would be lost.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from steps.lib.targets.kubernetes.agent.found import Found
from steps.lib.targets.kubernetes.agent.patterns import refuse_everything

Action = Callable[[Sequence[str]], Iterator[Found]]


def clean(actions: dict[str, list[str]]) -> dict[str, Any]:
    """Carry out actions in the order in which they do not hinder each other.

    Args:
        actions: Patterns or selectors by the names of ``ACTIONS``.

    Returns:
        ``removed`` and ``problems``, each a list of lines.
    """
    _refuse_unknown(actions)
    removed: list[str] = []
    problems: list[str] = []
    for kind, action in ACTIONS.items():
        try:
            for found in action(actions.get(kind, ())):
                if problem := found.take_away():
                    problems.append(f"{found.what}: {problem}")
                else:
                    removed.append(found.what)
        except (CnibenchError, OSError, ValueError) as error:
            problems.append(f"{kind}: {error}")
    if actions.get("iptables") or actions.get("ipsets"):
        try:
            clean_filters.drop_empty_tables()
        except CnibenchError as error:
            problems.append(f"empty tables: {error}")
    return {"removed": removed, "problems": problems}


def would_clean(actions: dict[str, list[str]]) -> list[str]:
    """What ``clean`` would take away now, by kind and name, such as ``link br-int``.

    Before an install, this is what the node's owner would lose by the clean-up after it: a pattern
    cannot tell it from what the plugin leaves. Also told is what is found and would stay, such as a
    default route.

    Raises:
        CnibenchError: a pattern is refused, or something cannot be looked at.
    """
    _refuse_unknown(actions)
    return [
        found.what for kind, action in ACTIONS.items() for found in action(actions.get(kind, ()))
    ]


def _refuse_unknown(actions: dict[str, list[str]]) -> None:
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown:
        raise RefusedError(f"no such action: {', '.join(unknown)}; there are {', '.join(ACTIONS)}")


def _paths(patterns: Sequence[str]) -> Iterator[Found]:
    for pattern in patterns:
        files.refuse_wide(pattern)
    for pattern in patterns:
        for path in files.matching(pattern):
            yield Found(path, partial(files.take_away, path))


def _bpf_pins(patterns: Sequence[str]) -> Iterator[Found]:
    refuse_everything(patterns)
    for pattern in patterns:
        if pattern.startswith("/"):
            raise RefusedError(f"{pattern!r}: write it as below {things.BPF_FILES}")
    for pattern in patterns:
        for path in files.matching(f"{things.BPF_FILES}/{pattern}"):
            yield Found(f"bpf pin {path}", partial(files.take_away, path))


def _modules(names: Sequence[str]) -> Iterator[Found]:
    for name in names:
        if name.replace("-", "_") in kernel.loaded_modules():
            yield Found(f"module {name}", partial(kernel.unload_module, name))


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
