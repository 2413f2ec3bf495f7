"""A page taken apart, for tests that look at what it holds."""

import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page taken apart: its elements, and the text of each one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1], " ".join(data.split())))

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.texts)


def is_sound(page: Page) -> None:
    """One heading, a language, ids that are unique, and references that have their targets."""
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["h1"] == tags["main"] == tags["title"] - tags["svg"] == 1
    assert ("html", {"lang": "en"}) in page.elements
    ids = Counter(page.attributes("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    targets = [link.removeprefix("#") for link in page.attributes("href")]
    targets += [name for names in page.attributes("aria-labelledby") for name in names.split()]
    targets += re.findall(r"url\(#([^)]+)\)", " ".join(page.attributes("clip-path")))
    assert set(targets) <= set(ids)


def is_still(html: str, page: Page) -> None:
    """Nothing runs and nothing is fetched: what Argo's artifact view forbids is not there."""
    forbidden = {"script", "link", "img", "iframe", "object"}
    assert {tag for tag, _ in page.elements} & forbidden == set()
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "srcset")}
    assert not re.search(r"data:|https?:|//\w|@import|javascript:", html)
