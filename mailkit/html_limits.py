"""Whether an HTML parser may be let loose on a document.

Every HTML5 parser searches its stack of open elements, so a document nested n deep costs n² steps: 100,000
open ``<div>`` take lexbor 14 s and html5ever 19 s. The depth is therefore bounded before parsing.
"""

from __future__ import annotations

import html as html_module
import re
from collections import Counter
from typing import Final

from mailkit.limits import MAX_HTML_CHARS, MAX_HTML_DEPTH, MAX_OPEN_TAGS

# A tag whose quotes are closed and hold no angle bracket: what follows it cannot be read two ways.
_PLAIN_TAG: Final = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]*+)(?:[^<>"']++|"[^"<>]*+"|'[^'<>]*+')*+>""")
_MARKUP: Final = re.compile(r"<(?=[a-zA-Z/!?])")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^>]*+>?", re.DOTALL)
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]*+>?")
_UNSEEN: Final = re.compile(r"<(script|style|head|title)\b.*?(?:</\1|\Z)", re.DOTALL | re.IGNORECASE)
# Inside these, close tags may be mere text or be ignored, so that counting proves nothing.
_OPAQUE: Final = frozenset({
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript",
    "plaintext", "svg", "math", "select", "template",
})  # fmt: skip
_NOT_NESTING: Final = frozenset({
    "p", "li", "dd", "dt", "br", "img", "hr", "input", "meta", "link", "col", "wbr", "area", "base",
    "source", "embed", "param",
})  # fmt: skip


def fits_parser(html: str) -> bool:
    """Return whether parsing takes well below a second: not too long, not too deep. Linear time."""
    if len(html) > MAX_HTML_CHARS:
        return False
    if html.count("<") - html.count("</") <= MAX_OPEN_TAGS:
        return True
    return _depth_is_bounded(html)


def _depth_is_bounded(html: str) -> bool:
    """Return whether a document of many tags is provably shallow; doubt counts as no."""
    open_tags: Counter[str] = Counter()
    depth = 0
    position = 0
    while start := _MARKUP.search(html, position):
        tag = _PLAIN_TAG.match(html, start.start())
        if tag is None or tag[2].lower() in _OPAQUE:
            return False
        depth += _step(open_tags, tag[2].lower(), closing=bool(tag[1]))
        if depth > MAX_HTML_DEPTH:
            return False
        position = tag.end()
    return True


def _step(open_tags: Counter[str], name: str, *, closing: bool) -> int:
    """Return by how much a tag changes the depth; closing what is not open changes nothing."""
    if name in _NOT_NESTING or (closing and not open_tags[name]):
        return 0
    step = -1 if closing else 1
    open_tags[name] += step
    return step


def tags_removed(html: str) -> str:
    """Return the text of a document that must not be parsed: tags cut out, entities decoded. Linear time."""
    cut = _COMMENT.sub("", _UNSEEN.sub("", html[:MAX_HTML_CHARS]))
    return html_module.unescape(_TAG.sub(" ", cut)).replace("\0", "")
