"""Reading pages as a browser does: elements with their attributes unescaped."""

from __future__ import annotations

from html.parser import HTMLParser

Element = tuple[str, dict[str, str]]
WITHOUT_TEXT = {"input", "img", "br", "meta", "link", "use", "path", "svg", "hr"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def elements(html: str, tag: str = "") -> list[dict[str, str]]:
    """Attributes of every element, or of those called ``tag``, in order."""
    reader = _Reader()
    reader.feed(html)
    return [attributes for name, attributes in reader.elements if not tag or name == tag]


def named(html: str) -> list[Element]:
    """Every element with its name."""
    reader = _Reader()
    reader.feed(html)
    return reader.elements
