"""Taking away chains and rules of the packet filters, and sets of addresses."""

import itertools
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

from steps.lib.targets import netfilter
from steps.lib.targets.kubernetes.agent import filters, programs
from steps.lib.targets.kubernetes.agent.found import Found
from steps.lib.targets.kubernetes.agent.patterns import matches, refuse_everything

IN_USE_TRIES = 10
IN_USE_PAUSE_S = 0.05

_BUILT_IN = frozenset(
    ("INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING", "ACCEPT", "DROP", "RETURN")
)


def iptables(patterns: Sequence[str]) -> Iterator[Found]:
    """Chains by patterns of their names, with the rules that jump to them, of both back ends.

    A rule in a chain that is not the plugin's own is known by its comment.
    """
    refuse_everything(patterns)
    if not patterns:
        return
    for back_end in filters.BACK_ENDS:
        yield from _in_back_end(back_end, patterns, lambda rule: _is_of(rule, patterns))


def nft_tables(names: Sequence[str]) -> Iterator[Found]:
    """Tables as ``<family> <name>``; the name may be a pattern."""
    refuse_everything([name.partition(" ")[2] for name in names])
    if not names:
        return
    for line in programs.lines("nft", "list", "tables"):
        table = line.removeprefix("table ")
        if matches(table, names):
            deletion = ("nft", "delete", "table", *table.split())
            yield Found(f"nft table {table}", partial(programs.attempt, *deletion))


def ipsets(patterns: Sequence[str]) -> Iterator[Found]:
    """Sets, after the rules that ask them: a set that is asked cannot be taken away."""
    refuse_everything(patterns)
    if not patterns:
        return
    for back_end in filters.BACK_ENDS:
        yield from _in_back_end(back_end, (), lambda rule: _asks(rule, patterns))
    sets = [line.split() for line in filters.ipsets()]
    # A set of sets holds the others, so that these can go only after it.
    for name, _ in sorted(sets, key=lambda words: words[1] != "list:set"):
        if matches(name, patterns):
            yield Found(f"ipset {name}", partial(_destroy, name))


def drop_empty_tables() -> None:
    """Take away tables of iptables-nft that hold nothing any more: each packet would pass them.

    The older mechanism keeps its tables until the kernel ends.
    """
    for family in ("iptables", "ip6tables"):
        for table, _ in _tables(filters.saved(f"{family}-nft")):
            left = "\n".join(programs.lines(f"{family}-nft-save", "-t", table))
            if left and not netfilter.iptables_lines(left):
                name = ("ip" if family == "iptables" else "ip6", table)
                programs.attempt("nft", "delete", "table", *name)


def _destroy(name: str) -> str | None:
    problem = programs.attempt("ipset", "destroy", name)
    for _ in range(IN_USE_TRIES):
        if problem is None or "in use" not in problem:
            break
        # nftables lets go of the sets of a deleted rule a moment later.
        time.sleep(IN_USE_PAUSE_S)
        problem = programs.attempt("ipset", "destroy", name)
    return problem


def _in_back_end(
    back_end: str, chains: Sequence[str], is_unwanted: Callable[[str], bool]
) -> Iterator[Found]:
    """Chains and rules of one back end; those of a table go all at once, with the first of them."""
    for table, text in _tables(filters.saved(back_end)):
        gone = [c for c in _chains(text) if c not in _BUILT_IN and matches(c, chains)]
        rules = [
            line
            for line in text
            if line.startswith("-A ") and line.split()[1] not in gone and is_unwanted(line)
        ]
        changes = [f"-D {rule.removeprefix('-A ')}" for rule in rules]
        changes += [f"-F {chain}" for chain in gone] + [f"-X {chain}" for chain in gone]
        script = "\n".join((f"*{table}", *changes, "COMMIT", ""))
        restore = (f"{back_end}-restore", "--noflush", "--wait")
        at_once = cache(partial(programs.attempt, *restore, stdin=script))
        for what in (*rules, *(f"chain {chain}" for chain in gone)):
            yield Found(f"{back_end} {table} {what}", at_once)


def _tables(saved: str) -> Iterator[tuple[str, list[str]]]:
    for part in f"\n{saved}".split("\n*")[1:]:
        name, *lines = part.splitlines()
        yield name.strip(), lines


def _chains(lines: Sequence[str]) -> list[str]:
    return [line[1:].split()[0] for line in lines if line.startswith(":")]


def _is_of(rule: str, patterns: Sequence[str]) -> bool:
    words = shlex.split(rule)
    said = [value for word, value in itertools.pairwise(words) if word == "--comment"]
    names = [filters.target_chain(rule), *said]
    return any(matches(name, patterns) for name in names)


def _asks(rule: str, patterns: Sequence[str]) -> bool:
    words = shlex.split(rule)
    asked = [value for word, value in itertools.pairwise(words) if word == "--match-set"]
    return any(matches(name, patterns) for name in asked)
