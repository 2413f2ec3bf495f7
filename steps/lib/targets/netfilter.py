"""Listings of packet filters as lines that say where each thing stands. Standard library only."""


def nft_lines(listing: str) -> list[str]:
    """Tables, chains, sets and rules of ``nft list ruleset``, each with what it stands in.

    For example ``table ip nat > chain pods > masquerade``.
    """
    lines, around = [], list[str]()
    for line in (text.strip() for text in listing.splitlines()):
        if line == "}":
            around.pop()
        elif line and not line.startswith("#"):
            lines.append(" > ".join((*around, line.removesuffix("{").strip())))
            if line.endswith("{"):
                around.append(line.removesuffix("{").strip())
    return lines


def iptables_lines(saved: str) -> list[str]:
    """Chains and rules of ``iptables-save``, each with its table, without counters.

    A table that holds nothing but the kernel's own chains, all accepting, is left out: one that was
    once used cannot be taken away by the older mechanism, and does nothing.
    """
    lines: list[str] = []
    table, chains, rules = "", list[str](), list[str]()
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line[1:].strip(), [], []
        elif line.startswith(":"):
            chains.append(line[1:].split(" [")[0])
        elif line.startswith("-"):
            rules.append(line)
        elif line.startswith("COMMIT") and (rules or any(not _is_idle(c) for c in chains)):
            lines += [f"{table} > chain {chain}" for chain in chains if not _is_idle(chain)]
            lines += [f"{table} > {rule}" for rule in rules]
    return lines


def _is_idle(chain: str) -> bool:
    """Whether it is one of the kernel's chains with the policy that it has by itself."""
    return chain.endswith(" ACCEPT")
