"""The page of docs about the gates: what each proves, and which known ways to err it closes."""

from collections.abc import Iterable, Sequence

from steps.lib.gates import GATES
from steps.lib.gates.base import Gate
from steps.lib.gates.pitfalls import Offence, Rule, pitfalls

_HEAD = """# Validity gates

Generated from `steps/lib/gates` by `make docs`. Every cell passes every gate that applies to it, or
its numbers are not stored: it is a row with the gate's name and what the gate saw. Where several
fail, the first of the list is named, but noise before all others, since it makes others fail. A try
that fails by noise is given up and made again, up to the campaign's `attempts_max`.

What the gates cost of a cell's time is measured by `python -m benchmarks.overhead`.
"""


def gates_page() -> str:
    """The page, in Markdown."""
    listed = pitfalls()
    parts = [
        _HEAD,
        _section("The gates", ("gate", "proves", "from", "cost", "source"), map(_gate, GATES)),
        _section(
            "Offences",
            ("offence", "gate", "committed by", "otherwise"),
            map(_offence, listed.offences),
        ),
    ]
    parts += [
        _section(each.title, ("rule", "gates", "otherwise"), map(_rule, each.rows))
        for each in listed.sections
    ]
    return "".join(parts)


def _gate(gate: Gate) -> Sequence[str]:
    name = _code(gate.name) + (" (noise)" if gate.is_noise else "")
    return name, gate.proves, gate.evidence, gate.cost, gate.source


def _offence(offence: Offence) -> Sequence[str]:
    return (
        offence.offence,
        _code(offence.gate),
        _code(offence.test),
        offence.otherwise or "",
    )


def _rule(rule: Rule) -> Sequence[str]:
    return rule.rule, ", ".join(map(_code, rule.gates)), rule.otherwise or ""


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["", f"## {title}", "", _row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _code(name: str | None) -> str:
    return f"`{name}`" if name else ""
