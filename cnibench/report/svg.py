"""From a matplotlib figure to an inline ``<svg>``: the same bytes each time, coloured by the page.

Text stays text and colours become CSS variables, so that one drawing serves light, dark and print.
Matplotlib numbers its ids anew in each figure; inline drawings share the ids of one page, so the
ids that are used get the drawing's own name in front and the others are dropped.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK = "#123456"
MUTED = "#123457"
GRID = "#123458"
PAPER = "#123459"
SERIES = tuple(f"#65432{n}" for n in range(8))
"""Placeholders: no colour that is drawn, only a sign for the CSS variable that takes its place."""

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    colour: f"series-{n}" for n, colour in enumerate(SERIES)
}

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cnibench",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
}

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_FONT = re.compile(r"'DejaVu Sans'(, sans-serif)?")
_NO_TURN = re.compile(r"rotate\(-?0 ")
_DIGITS = re.compile(r"(\d\.\d\d)\d+")

TEXTS = ("text", "tspan", "title", "desc")


@contextmanager
def drawing() -> Iterator[None]:
    """Settings that make drawings fit the page, whatever the user's own are.

    They take a while to set: enter it once for many drawings.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """The figure as an inline drawing.

    Args:
        figure: What to draw; made inside ``drawing()``.
        name: Unique on the page.
        title: What it is, for people who do not see it.
        description: What it says, for the same.
    """
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(buffer.getvalue())
    for unwanted in (f"{_SVG}metadata", f"{_SVG}defs/{_SVG}style/.."):
        for element in root.findall(unwanted):
            root.remove(element)
    _own_ids(root, name)
    _describe(root, name, title, description)
    _without_namespaces(root)
    _small(root)
    text = ET.tostring(root, encoding="unicode")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return Markup(_FONT.sub("inherit", text))


def _small(root: ET.Element) -> None:
    """Without what nobody sees: digits below a hundredth of a point, empty groups, indentation."""
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _DIGITS.sub(r"\1", value))
        if _NO_TURN.match(element.get("transform", "")):
            del element.attrib["transform"]
        if element.tag not in TEXTS:
            element.text = None
        element.tail = None
    _prune(root)


def _prune(element: ET.Element) -> None:
    for child in list(element):
        _prune(child)
        if child.tag == "g" and not len(child):
            element.remove(child)


def _own_ids(root: ET.Element, name: str) -> None:
    used = dict.fromkeys(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    new = {old: f"{name}-{number}" for number, old in enumerate(used)}
    for element in root.iter():
        old = element.attrib.pop("id", "")
        if old in new:
            element.set("id", new[old])
        for key, value in element.attrib.items():
            if key == f"{_XLINK}href" or "url(#" in value:
                element.set(key, re.sub(r"#([\w-]+)", lambda found: f"#{new[found[1]]}", value))


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == f"{_XLINK}href" or "url(#" in value:
                yield value


def _describe(root: ET.Element, name: str, title: str, description: str) -> None:
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{_SVG}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(place, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    root.set("class", "plot")
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)


def _without_namespaces(root: ET.Element) -> None:
    """HTML knows SVG by its tag; ``href`` without a prefix is what it asks for."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if f"{_XLINK}href" in element.attrib:
            element.set("href", element.attrib.pop(f"{_XLINK}href"))
