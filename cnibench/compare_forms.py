"""A comparison as a table, Markdown, JSON and JUnit XML."""

import json
from dataclasses import asdict
from xml.etree import ElementTree

from cnibench import show
from steps.lib.comparing.compare import Comparison, Line
from steps.lib.comparing.inference import Verdict

COLUMNS = ("cell", "metric", "side", "blocks", "change", "95 % interval", "p (Holm)", "verdict", "")


def fails(line: Line, strict: bool) -> bool:
    """Whether a line fails a check; strict: everything that is not proven harmless does."""
    harmless = (Verdict.equal, Verdict.improved)
    bad = line.verdict not in harmless if strict else line.verdict is Verdict.regressed
    return (bad or line.is_lost) and line.acknowledged is None


def comparison_fails(comparison: Comparison, strict: bool) -> bool:
    """Whether a line fails, or nothing could be compared at all: a check that saw nothing."""
    return comparison.family == 0 or any(fails(line, strict) for line in comparison.lines)


def cells(line: Line) -> tuple[str, ...]:
    """A line as text, by ``COLUMNS``."""
    effect = line.effect
    known = f"known: {line.acknowledged}" if line.acknowledged else ""
    return (
        line.cell,
        line.metric,
        line.second,
        f"{line.blocks[0]} / {line.blocks[1]}",
        _percent(effect.ratio) if effect else "–",
        f"{_percent(effect.low)} … {_percent(effect.high)}" if effect else "–",
        "–" if line.p_adjusted is None else f"{line.p_adjusted:.3g}",
        line.verdict,
        "; ".join(text for text in (line.reason, *line.notes, known) if text),
    )


def described(comparison: Comparison) -> list[str]:
    """Each side: what was chosen of which store, and the blocks that it has there."""
    return [
        f"{side.label}: {', '.join(f'{k} {v}' for k, v in sorted(side.chosen.items()))}, "
        f"store {side.store}, {blocks} blocks"
        for side, blocks in zip(comparison.sides, comparison.blocks, strict=True)
    ]


def summary(comparison: Comparison) -> str:
    """What was tested, in one sentence."""
    counts = {v: sum(line.verdict is v for line in comparison.lines) for v in Verdict}
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    none = "" if comparison.family else "; nothing could be compared, which fails"
    return (
        f"Against {comparison.sides[0].label}: {found}{none}. Family: {comparison.family} tests, "
        "Welch on logarithms of one value per block, Holm, 5 % for the whole family; equal: 90 % "
        "interval within the metric's margin."
    )


def markdown(comparison: Comparison) -> str:
    """A table for a pull request; what is equal comes last."""
    order = [Verdict.regressed, Verdict.improved, Verdict.inconclusive, Verdict.not_comparable]
    order.append(Verdict.equal)
    lines = sorted(comparison.lines, key=lambda line: order.index(line.verdict))
    table = show.markdown(COLUMNS, (cells(line) for line in lines))
    sides = [f"* {text}" for text in described(comparison)]
    return "\n".join([summary(comparison), "", *sides, "", table])


def as_json(comparison: Comparison) -> str:
    """Everything, for programs; ratios are second / first."""
    return json.dumps(
        {
            "sides": [asdict(side) for side in comparison.sides],
            "blocks": comparison.blocks,
            "family": comparison.family,
            "lines": [asdict(line) for line in comparison.lines],
        },
        indent=2,
    )


def junit(comparison: Comparison, strict: bool) -> str:
    """A test case for each line: a failure where it fails the command, skipped if unknown."""
    suite = ElementTree.Element("testsuite", name="cnibench compare")
    properties = ElementTree.SubElement(suite, "properties")
    for text in described(comparison):
        ElementTree.SubElement(properties, "property", name="side", value=text)
    for line in comparison.lines:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{line.second}.{line.metric}", name=line.cell
        )
        text = " ".join(c for c in cells(line)[3:] if c)
        if fails(line, strict):
            ElementTree.SubElement(case, "failure", type=line.verdict, message=text)
        elif line.verdict in (Verdict.inconclusive, Verdict.not_comparable):
            ElementTree.SubElement(case, "skipped", message=f"{line.verdict}: {text}")
        else:
            ElementTree.SubElement(case, "system-out").text = text
    suite.set("tests", str(len(comparison.lines)))
    suite.set("failures", str(sum(fails(line, strict) for line in comparison.lines)))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"
