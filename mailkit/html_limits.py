"""Whether, and in which form, an HTML parser may be let loose on a document.

Parsers have quadratic corners: 100,000 nested ``<div>`` take lexbor 14 s and html5ever 19 s, a tag with
50,000 attributes 4 s, a million ampersands 50 s. Small documents cannot be deep or wide enough to
matter; large ones are parsed only if they are provably plain.
"""

from __future__ import annotations

import html as html_module
import re
from collections import Counter
from typing import Final

from mailkit.limits import (
    MAX_AMPERSANDS,
    MAX_HTML_CHARS,
    MAX_HTML_DEPTH,
    MAX_OPEN_TAGS,
    MAX_TAG_WORDS,
    MAX_UNCHECKED_HTML_CHARS,
)

_ATTRIBUTE: Final = r"""[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>`]++))?+"""
# A tag that every reader ends at the same place: quotes where they belong, no angle bracket inside.
_PLAIN_TAG: Final = re.compile(rf"<(/?)([a-zA-Z][a-zA-Z0-9:-]*+)((?:\s++{_ATTRIBUTE})*+)\s*+/?>")
_MARKUP: Final = re.compile(r"<(?=[a-zA-Z/!?])")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^>]*+>?", re.DOTALL)
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]*+>?")
_UNSEEN: Final = re.compile(r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
# Inside these, close tags may be mere text or be ignored, so that counting proves nothing.
_OPAQUE: Final = frozenset({
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext",
    "svg", "math", "select", "template",
})  # fmt: skip
_NOT_NESTING: Final = frozenset({
    "p", "li", "dd", "dt", "br", "img", "hr", "input", "meta", "link", "col", "wbr", "area", "base", "source",
    "embed", "param",
})  # fmt: skip


def parsable(html: str) -> str | None:
    """Return the document in a form whose parsing takes a second or two at most, or None. Linear time.

    Small documents come back as they are, but for NULs; large ones without comments, style and script, and
    only if what remains is plain, shallow and no longer than `MAX_HTML_CHARS`.
    """
    if len(html) > MAX_HTML_CHARS:
        return None
    document = html.replace("\0", "")
    open_tags = document.count("<") - document.count("</")
    if open_tags <= MAX_OPEN_TAGS and len(document) <= MAX_UNCHECKED_HTML_CHARS:
        return document
    if document.count("&") > MAX_AMPERSANDS:
        return None
    stripped = _without_unseen(document)
    return stripped if _is_plain(stripped) else None


def _without_unseen(html: str) -> str:
    return _COMMENT.sub("", _UNSEEN.sub("", html))


def _is_plain(html: str) -> bool:
    """Return whether a large document is provably shallow and its tags narrow; doubt counts as no."""
    open_tags: Counter[str] = Counter()
    depth = 0
    position = 0
    while start := _MARKUP.search(html, position):
        tag = _PLAIN_TAG.match(html, start.start())
        if tag is None or tag[2].lower() in _OPAQUE or _is_wide(tag[3]):
            return False
        depth += _step(open_tags, tag[2].lower(), closing=bool(tag[1]))
        if depth > MAX_HTML_DEPTH:
            return False
        position = tag.end()
    return True


def _is_wide(attributes: str) -> bool:
    return len(attributes) > MAX_TAG_WORDS and len(attributes.split()) > MAX_TAG_WORDS


def _step(open_tags: Counter[str], name: str, *, closing: bool) -> int:
    """Return by how much a tag changes the depth; closing what is not open changes nothing."""
    if name in _NOT_NESTING or (closing and not open_tags[name]):
        return 0
    step = -1 if closing else 1
    open_tags[name] += step
    return step


def tags_removed(html: str) -> str:
    """Return the text of a document that must not be parsed: tags cut out, entities decoded. Linear time."""
    cut = _without_unseen(html[:MAX_HTML_CHARS])
    return html_module.unescape(_TAG.sub(" ", cut)).replace("\0", "")
