"""HTML as readable text, for mails that bring no text part and for search."""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailkit.html_limits import parsable, tags_removed
from mailkit.limits import MAX_HTML_CHARS

_SKIPPED: Final = frozenset({
    "script", "style", "head", "title", "noscript", "template", "textarea", "select", "iframe", "object",
    "svg", "math",
})  # fmt: skip
_BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "ol",
    "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
})  # fmt: skip
_SPACED: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "ul", "ol", "table", "blockquote"}
)
_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")
_LINE_BREAK: Final = re.compile(r"\r\n?|\n")
_MAX_QUOTE_DEPTH: Final = 9


def html_to_text(html: str) -> str:
    """Return what a reader would see: paragraphs, list items, table rows, link targets, quotes as ``> ``.

    Reads at most `MAX_HTML_CHARS` characters; documents nested too deeply for an HTML parser lose their
    tags and nothing else. Never raises.
    """
    document = parsable(html[:MAX_HTML_CHARS])
    if document is None:
        return tags_removed(html).strip()
    root = LexborHTMLParser(document).root
    return _Writer().write(root) if root is not None else ""


class _Writer:
    """Walks the tree without recursion and assembles lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._blank_wanted = False
        self._quote_depth = 0
        self._last_depth = 0
        self._pre_depth = 0

    def write(self, root: LexborNode) -> str:
        """Return the text of the tree below ``root``."""
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node, node.tag or "")
            elif node.is_text_node:
                self._text(node.text_content or "")
            elif node.is_element_node and node.tag not in _SKIPPED:
                self._enter(node, node.tag or "")
                stack.append((node, True))
                stack.extend((child, False) for child in _children_reversed(node))
        self._end_line()
        return "\n".join(self._lines).strip("\n")

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag in _BLOCKS or tag in _SPACED:
            self._end_line()
            self._blank_wanted |= tag in _SPACED
        if tag == "blockquote":
            self._quote_depth += 1
        elif tag == "pre":
            self._pre_depth += 1
        else:
            self._mark(node, tag)

    def _mark(self, node: LexborNode, tag: str) -> None:
        """Write what stands for an element itself."""
        if tag == "br":
            self._end_line(keep_empty=True)
        elif tag == "li":
            self._line.append("- ")
        elif tag == "hr":
            self._line.append("-" * 20)
        elif tag in {"td", "th"} and self._line:
            self._line.append("  ")
        elif tag == "img":
            self._text(node.attributes.get("alt") or "")

    def _leave(self, node: LexborNode, tag: str) -> None:
        if tag == "a":
            self._link_target(node)
        if tag in _BLOCKS or tag in _SPACED:
            self._end_line()
            self._blank_wanted |= tag in _SPACED
        if tag == "blockquote":
            self._quote_depth -= 1
        elif tag == "pre":
            self._pre_depth -= 1

    def _link_target(self, node: LexborNode) -> None:
        href = (node.attributes.get("href") or "").strip()
        label = node.text(deep=True).strip() if href.startswith(("http://", "https://")) else href
        if href and label and href.rstrip("/") != label.rstrip("/") and label != href:
            self._line.append(f" <{href}>")

    def _text(self, text: str) -> None:
        if self._pre_depth:
            first, *others = _LINE_BREAK.split(text)
            self._line.append(first)
            for line in others:
                self._end_line(keep_empty=True)
                self._line.append(line)
            return
        collapsed = _BLANKS.sub(" ", text)
        if not self._line or self._line[-1].endswith(" "):
            collapsed = collapsed.lstrip(" ")
        if collapsed:
            self._line.append(collapsed)

    def _end_line(self, *, keep_empty: bool = False) -> None:
        line = "".join(self._line).replace("\xa0", " ").rstrip()
        self._line.clear()
        if not line and not keep_empty:
            return
        depth = min(self._quote_depth, _MAX_QUOTE_DEPTH)
        if self._blank_wanted and self._lines and self._lines[-1].strip("> "):
            self._lines.append(("> " * min(depth, self._last_depth)).rstrip())
        self._blank_wanted = False
        self._last_depth = depth
        self._lines.append(("> " * depth + line).rstrip())


def _children_reversed(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.last_child
    while child is not None:
        children.append(child)
        child = child.prev
    return children
