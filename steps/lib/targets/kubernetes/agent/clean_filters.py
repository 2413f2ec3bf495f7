"""Taking away chains and rules of the packet filters, and sets of addresses."""

import itertools
import shlex
from collections.abc import Callable, Iterator, Sequence

from steps.lib.errors import RefusedError
from steps.lib.targets import netfilter
from steps.lib.targets.kubernetes.agent import filters, programs
from steps.lib.targets.kubernetes.agent.outcome import Outcome

_BUILT_IN = frozenset(
    ("INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING", "ACCEPT", "DROP", "RETURN")
)


def iptables(patterns: Sequence[str]) -> Iterator[Outcome]:
    """Chains by patterns of their names, with the rules that jump to them, of both back ends.

    A rule in a chain that is not the plugin's own is known by its comment.
    """
    _refuse_everything(patterns)
    if not patterns:
        return
    for back_end in filters.BACK_ENDS:
        yield from _changed(
            back_end,
            patterns,
            lambda rule: _is_of(rule, patterns),
        )


def nft_tables(names: Sequence[str]) -> Iterator[Outcome]:
    """Tables as ``<family> <name>``; the name may be a pattern."""
    _refuse_everything([name.partition(" ")[2] for name in names])
    if not names:
        return
    for line in programs.lines("nft", "list", "tables"):
        table = line.removeprefix("table ")
        if filters.matches(table, names):
            yield Outcome(
                f"nft table {table}", programs.attempt("nft", "delete", "table", *table.split())
            )


def ipsets(patterns: Sequence[str]) -> Iterator[Outcome]:
    """Sets, after the rules that ask them: a set that is asked cannot be taken away."""
    _refuse_everything(patterns)
    if not patterns:
        return
    for back_end in filters.BACK_ENDS:
        yield from _changed(back_end, (), lambda rule: _asks(rule, patterns))
    names = [line.split()[0] for line in filters.ipsets()]
    found = [name for name in names if filters.matches(name, patterns)]
    # A set of sets holds the others, so that these can go only after it.
    problems = {name: programs.attempt("ipset", "destroy", name) for name in found}
    for name, problem in problems.items():
        again = programs.attempt("ipset", "destroy", name) if problem else None
        yield Outcome(f"ipset {name}", again)


def _changed(
    back_end: str, chains: Sequence[str], is_unwanted: Callable[[str], bool]
) -> Iterator[Outcome]:
    """Delete chains and rules of one back end, each table at once."""
    saved = filters.saved(back_end)
    for table, text in _tables(saved):
        gone = [c for c in _chains(text) if c not in _BUILT_IN and filters.matches(c, chains)]
        rules = [
            line
            for line in text
            if line.startswith("-A ") and line.split()[1] not in gone and is_unwanted(line)
        ]
        if gone or rules:
            changes = [f"-D {rule.removeprefix('-A ')}" for rule in rules]
            changes += [f"-F {chain}" for chain in gone] + [f"-X {chain}" for chain in gone]
            script = "\n".join((f"*{table}", *changes, "COMMIT", ""))
            problem = programs.attempt(f"{back_end}-restore", "--noflush", "--wait", stdin=script)
            for what in (*rules, *(f"chain {chain}" for chain in gone)):
                yield Outcome(f"{back_end} {table} {what}", problem)
        _drop_if_empty(back_end, table)


def _drop_if_empty(back_end: str, table: str) -> None:
    """Take away a table of nftables that holds nothing any more: it would still be run through."""
    family, _, mechanism = back_end.partition("-")
    if mechanism != "nft":
        return  # The older mechanism keeps its tables until the kernel ends.
    left = "\n".join(programs.lines(f"{back_end}-save", "-t", table))
    if left and not netfilter.iptables_lines(left):
        programs.attempt("nft", "delete", "table", "ip" if family == "iptables" else "ip6", table)


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
    return any(filters.matches(name, patterns) for name in names)


def _asks(rule: str, patterns: Sequence[str]) -> bool:
    words = shlex.split(rule)
    asked = [value for word, value in itertools.pairwise(words) if word == "--match-set"]
    return any(filters.matches(name, patterns) for name in asked)


def _refuse_everything(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not pattern.strip("*?-_"):
            raise RefusedError(f"{pattern!r} matches everything; write whose")
