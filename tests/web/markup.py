"""A small check of the HTML we write: what axe would complain about first, and what our policy forbids.

axe itself is no package that can be installed here; the browser tests look at the pages besides.
"""

from __future__ import annotations

from collections import Counter

from selectolax.lexbor import LexborHTMLParser as HTMLParser
from selectolax.lexbor import LexborNode as Node

_LABELLED = "input, select, textarea"
_NEEDS_NO_LABEL = {"hidden", "submit", "button", "reset", "image"}


def problems_of(html: str, *, whole_page: bool = False) -> list[str]:
    """What is wrong with a page or a part of one, in words; an empty list when nothing is."""
    tree = HTMLParser(html)
    found = [
        *_unnamed_fields(tree),
        *_unnamed_controls(tree),
        *_broken_references(tree),
        *_inline_code(tree),
        *_tables(tree),
    ]
    return [*found, *_page_problems(tree)] if whole_page else found


def _unnamed_fields(tree: HTMLParser) -> list[str]:
    labelled = {label.attributes.get("for") for label in tree.css("label")}
    return [
        f"field without a label: {_tag(node)}"
        for node in tree.css(_LABELLED)
        if node.attributes.get("type") not in _NEEDS_NO_LABEL
        and not _has_name(node)
        and node.attributes.get("id") not in labelled
        and not _inside(node, "label")
    ]


def _unnamed_controls(tree: HTMLParser) -> list[str]:
    return [
        f"control without a name: {_tag(node)}"
        for node in tree.css("a[href], button, summary")
        if not node.text().strip() and not _has_name(node)
    ]


def _broken_references(tree: HTMLParser) -> list[str]:
    ids = Counter(node.attributes["id"] for node in tree.css("[id]"))
    found = [f"id used {count} times: {name}" for name, count in ids.items() if count > 1]
    for attribute in ("aria-describedby", "aria-labelledby", "aria-controls", "for", "popovertarget", "form"):
        for node in tree.css(f"[{attribute}]"):
            found += [
                f"{attribute} points nowhere: {name}"
                for name in (node.attributes[attribute] or "").split()
                if name not in ids
            ]
    return found


def _inline_code(tree: HTMLParser) -> list[str]:
    found = [f"inline style: {_tag(node)}" for node in tree.css("[style], style")]
    found += [f"inline script: {_tag(node)}" for node in tree.css("script:not([src])")]
    found += [
        f"inline handler {name}: {_tag(node)}"
        for node in tree.css("*")
        for name in node.attributes
        if name.startswith("on")
    ]
    found += [f"script link: {_tag(node)}" for node in tree.css('[href^="javascript:"]')]
    return found + [
        f"loaded from elsewhere: {_tag(node)}"
        for node in tree.css('[src^="http"], link[href^="http"], [src^="//"]')
    ]


def _tables(tree: HTMLParser) -> list[str]:
    return [
        f"table head without scope: {_tag(node)}"
        for node in tree.css("th")
        if not node.attributes.get("scope")
    ]


def _page_problems(tree: HTMLParser) -> list[str]:
    checks = {
        "no lang": bool(tree.css_first("html[lang]")),
        "not exactly one h1": len(tree.css("h1")) == 1,
        "no main": bool(tree.css_first("main#main")),
        "no title": bool((title := tree.css_first("title")) and title.text().strip(" ·")),
        "no skip link": bool(tree.css_first('a.skip-link[href="#main"]')),
    }
    navs = Counter(node.attributes.get("aria-label") or "" for node in tree.css("nav"))
    found = [problem for problem, is_fine in checks.items() if not is_fine]
    return found + [
        f"nav label {label!r} used {count} times" for label, count in navs.items() if count > 1 or not label
    ]


def _has_name(node: Node) -> bool:
    attributes = node.attributes
    if attributes.get("aria-label") or attributes.get("aria-labelledby"):
        return True
    return bool(node.css_first("[aria-label]"))


def _inside(node: Node, tag: str) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag == tag:
            return True
        parent = parent.parent
    return False


def _tag(node: Node) -> str:
    return (node.html or "")[:120].replace("\n", " ")
