"""Taking away routes and policy routing rules by what ``ip`` says of them."""

import itertools
from collections.abc import Iterator, Sequence

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import programs
from steps.lib.targets.kubernetes.agent.links import FAMILIES
from steps.lib.targets.kubernetes.agent.outcome import Outcome

RULES_MAX = 256

_OWN_TABLES = ("main", "local", "default", "all", "unspec", "0", "253", "254", "255")
_OWN_PROTOCOLS = ("kernel", "boot", "static", "dhcp", "ra", "redirect", "2", "3", "4", "9", "16")
_PARTS_OF_NAMES = ("proto", "table", "dev")
_WIDE_DESTINATIONS = ("default", "0.0.0.0/0", "::/0")


def routes(selectors: Sequence[str]) -> Iterator[Outcome]:
    """Routes of all tables, unless a selector names one, for example ``proto 17``."""
    for selector in selectors:
        _refuse_wide(selector)
    for selector in selectors:
        words = selector.split()
        where = words if "table" in words else [*words, "table", "all"]
        for family in _families(selector):
            found = programs.lines("ip", family, "route", "show", *where)
            for route in found:
                # What was asked for is not told again.
                exact = [*_without_state(route.split()), *_asked(words)]
                problem = programs.attempt("ip", family, "route", "delete", *exact)
                yield Outcome(f"route {' '.join(exact)}", problem)


def rules(selectors: Sequence[str]) -> Iterator[Outcome]:
    """Rules, for example ``lookup 77``."""
    for selector in selectors:
        words = selector.split()
        if len(words) < 2 or any(table in _OWN_TABLES for table in _values(words, "lookup")):
            raise RefusedError(f"rules: {selector!r} selects rules of the system")
    for selector in selectors:
        for family in _families(selector):
            for _ in range(RULES_MAX):
                if programs.attempt("ip", family, "rule", "delete", *selector.split()):
                    break  # There is none left.
                yield Outcome(f"rule {family} {selector}")


def _refuse_wide(selector: str) -> None:
    words = selector.split()
    tables, protocols = _values(words, "table"), _values(words, "proto")
    narrow = [w for w in words if w not in ("table", "proto", *tables, *protocols)]
    own = any(t in _OWN_TABLES for t in tables) or any(p in _OWN_PROTOCOLS for p in protocols)
    if not words or any(w in _WIDE_DESTINATIONS for w in words) or (own and not narrow):
        raise RefusedError(f"routes: {selector!r} selects routes of the system")


def _values(words: Sequence[str], name: str) -> list[str]:
    return [value for word, value in itertools.pairwise(words) if word == name]


def _asked(words: Sequence[str]) -> list[str]:
    """Those of a selector's words that are part of the name of each route that it selects."""
    pairs = itertools.pairwise(words)
    return [w for name, value in pairs if name in _PARTS_OF_NAMES for w in (name, value)]


def _families(selector: str) -> Sequence[str]:
    """IPv4 and IPv6, unless an address in the selector says which."""
    if "::" in selector:
        return FAMILIES[1:]
    return FAMILIES[:1] if any("." in word for word in selector.split()) else FAMILIES


def _without_state(words: list[str]) -> list[str]:
    """What ``ip route show`` says of a route's state is no part of its name."""
    return [word for word in words if word not in ("linkdown", "dead", "pervasive", "offload")]
