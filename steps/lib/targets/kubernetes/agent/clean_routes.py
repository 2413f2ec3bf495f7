"""Taking away routes and policy routing rules by what ``ip`` says of them."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

from steps.lib.errors import RefusedError
from steps.lib.targets.kubernetes.agent import programs
from steps.lib.targets.kubernetes.agent.found import Found
from steps.lib.targets.kubernetes.agent.links import FAMILIES

_OWN_TABLES = ("main", "local", "default", "all", "unspec", "0", "253", "254", "255")
_OWN_PROTOCOLS = ("kernel", "boot", "static", "dhcp", "ra", "redirect", "2", "3", "4", "9", "16")
_PARTS_OF_NAMES = ("proto", "table", "dev")
_WIDE_DESTINATIONS = ("default", "0.0.0.0/0", "::/0")
_NO_PART_OF_NAMES = ("linkdown", "dead", "pervasive", "offload", "\\")
"""What ``ip -oneline route show`` says of a route's state, and how it separates next hops."""


def routes(selectors: Sequence[str]) -> Iterator[Found]:
    """Routes of all tables, unless a selector names one, for example ``proto 17``.

    A default route is found too, but stays: the node may be reached by it.
    """
    for selector in selectors:
        _refuse_wide(selector)
    for selector in selectors:
        words = selector.split()
        where = words if "table" in words else [*words, "table", "all"]
        for family in _families(selector):
            # In one line, also if it has several next hops.
            for route in programs.lines("ip", "-oneline", family, "route", "show", *where):
                name = _name(route, words)
                deletion = partial(programs.attempt, "ip", family, "route", "delete", *name)
                stays = _is_default(name) and not _is_in_table_of_its_own(words)
                yield Found(f"route {' '.join(name)}", _keep_default if stays else deletion)


def rules(selectors: Sequence[str]) -> Iterator[Found]:
    """Rules, for example ``lookup 77``."""
    for selector in selectors:
        words = selector.split()
        if len(words) < 2 or any(table in _OWN_TABLES for table in _values(words, "lookup")):
            raise RefusedError(f"rules: {selector!r} selects rules of the system")
    for selector in selectors:
        for family in _families(selector):
            words = selector.split()
            for rule in programs.lines("ip", family, "rule", "show", *words):
                exact = ("priority", rule.partition(":")[0], *words)
                deletion = partial(programs.attempt, "ip", family, "rule", "delete", *exact)
                yield Found(f"rule {family} {' '.join(rule.split())}", deletion)


def _refuse_wide(selector: str) -> None:
    words = selector.split()
    tables, protocols = _values(words, "table"), _values(words, "proto")
    narrow = [w for w in words if w not in ("table", "proto", *tables, *protocols)]
    own = any(t in _OWN_TABLES for t in tables) or any(p in _OWN_PROTOCOLS for p in protocols)
    if not words or any(w in _WIDE_DESTINATIONS for w in words) or (own and not narrow):
        raise RefusedError(f"routes: {selector!r} selects routes of the system")


def _name(route: str, asked: Sequence[str]) -> list[str]:
    """The words that delete a route. What was asked for is not told again, and precedes hops."""
    words = [word for word in route.split() if word not in _NO_PART_OF_NAMES]
    end = words.index("nexthop") if "nexthop" in words else len(words)
    return [*words[:end], *_asked(asked), *words[end:]]


def _is_default(name: Sequence[str]) -> bool:
    """Whether a route leads everywhere; its kind may come first, as in ``blackhole default``."""
    return "default" in name[:2]


def _is_in_table_of_its_own(selector: Sequence[str]) -> bool:
    """Whether a selector names a table, which then is the plugin's: only its rules lead there."""
    tables = _values(selector, "table")
    return bool(tables) and not any(table in _OWN_TABLES for table in tables)


def _keep_default() -> str:
    return "is a default route and stays"


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
