"""HTML of incoming mail made fit to be shown: an allow-list, no style, nothing that loads from elsewhere.

``nh3`` (ammonia, html5ever) parses and serialises; it has the last word about which elements and attributes
exist. Afterwards only ``<img>`` and ``<a>`` start tags of its output are rewritten, where every attribute is
quoted and ``<``, ``>``, ``"`` and ``&`` inside values are escaped. Until then sources carry the schemes
``cid:`` and ``blocked:``, which no browser loads, so that a tag this second step missed stays harmless.
"""

from __future__ import annotations

import html as html_module
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailkit.html_limits import parsable, tags_removed
from mailkit.limits import MAX_HTML_CHARS
from mailkit.links import is_public_host, misleads, target_host

ImageUrl = Callable[[str], "str | None"]

_TAGS: Final = frozenset({
    "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
    "center", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption",
    "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd",
    "li", "main", "mark", "nav", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike",
    "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul",
    "var", "wbr",
})  # fmt: skip
# Removed with everything inside them; their text is code, or would be shown twice.
_DROPPED: Final = frozenset({
    "script", "style", "head", "title", "noscript", "template", "textarea", "select", "iframe", "object",
    "embed", "applet", "audio", "video", "canvas", "svg", "math", "xmp", "noembed", "noframes", "frameset",
    "plaintext",
})  # fmt: skip
_CELL: Final = {"align", "valign", "width", "height", "colspan", "rowspan", "bgcolor"}
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "*": {"dir", "lang"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "align", "border"},
    "table": {"align", "width", "border", "cellpadding", "cellspacing", "bgcolor"},
    "tr": {"align", "valign", "bgcolor"},
    "td": _CELL,
    "th": _CELL | {"scope"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "p": {"align"},
    "div": {"align"},
    **{f"h{level}": {"align"} for level in range(1, 7)},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value"},
    "font": {"color", "size", "face"},
    "hr": {"width", "size", "align"},
    "time": {"datetime"},
    "bdo": {"dir"},
}
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "cid"})
_LINK_SCHEMES: Final = ("http://", "https://", "mailto:", "tel:")
_REL: Final = "noopener noreferrer nofollow"
# As nh3 writes them, one after the other: a value may hold what looks like another attribute.
_ATTRIBUTE: Final = re.compile(r' ([\w-]+)="([^"]*)"')
_IMAGE: Final = re.compile(r"<img\b([^>]*)>")
_LINK: Final = re.compile(r"<a\b([^>]*)>(.*?)</a>", re.DOTALL)
_MARKUP: Final = re.compile(r"<[^>]*>")
_REMOTE: Final = re.compile(r"\s*(?:https?:|ftp:|//|\\\\)", re.IGNORECASE)
_REMOTE_IN_LIST: Final = re.compile(r"(?:https?:|ftp:|//)", re.IGNORECASE)
_REMOTE_CSS: Final = re.compile(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:|//)", re.IGNORECASE)
_LOADING: Final = (
    "img, [background], [srcset], [poster], input[src], link[href], source[src], video[src], audio[src], "
    "iframe[src], embed[src], object[data], image, [style]"
)


def _filter(_tag: str, attribute: str, value: str) -> str | None:
    """Decide about one allowed attribute; called by nh3 for each."""
    if attribute == "src":
        return value if value.startswith("cid:") else _blockable(value)
    if attribute == "href":
        return value if value.lower().startswith(_LINK_SCHEMES) else None
    if attribute == "rel":
        return value
    return value if len(value) <= 2_000 else None


def _blockable(value: str) -> str | None:
    return value if value.lower().startswith(("http://", "https://")) else None


_CLEANER: Final = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_DROPPED,
    attributes=_ATTRIBUTES,
    attribute_filter=_filter,
    url_schemes=_SCHEMES,
    url_relative="deny",
    link_rel=_REL,
    strip_comments=True,
)


def sanitize_html(html: str, *, image_url: ImageUrl | None = None, allow_remote: bool = False) -> str:
    """Return a fragment that holds no script, style, form or foreign resource. Never raises; bounded time.

    ``image_url`` maps a Content-ID to a URL of ours; images it does not know, and all of them without it,
    become ``<img data-cid="…">`` without source. Remote images become ``<img data-blocked="remote">`` unless
    ``allow_remote``, which lets https from public hosts through. Links open in a new window without referrer
    and show their target as title; where the link text names another host, the real one is written behind
    it. Documents too large or too deep for a parser are shown as text.
    """
    document = parsable(html)
    if document is None:
        return _as_text(html)
    clean = _CLEANER.clean(document)
    if "<img" in clean:
        clean = _IMAGE.sub(lambda match: _image(match[1], image_url, allow_remote=allow_remote), clean)
    return _LINK.sub(lambda match: _link(match[1], match[2]), clean) if "<a" in clean else clean


def _as_text(html: str) -> str:
    text = tags_removed(html[:MAX_HTML_CHARS])
    return f"<pre>{html_module.escape(text)}</pre>"


def _image(attributes: str, image_url: ImageUrl | None, *, allow_remote: bool) -> str:
    values = dict(_ATTRIBUTE.findall(attributes))
    url = html_module.unescape(values.pop("src", ""))
    others = "".join(f' {name}="{value}"' for name, value in values.items())
    if url.startswith("cid:"):
        return f"<img{_own_image(unquote(url[4:]), image_url)}{others}>"
    if allow_remote and url.lower().startswith("https://") and is_public_host(target_host(url)):
        return f'<img src="{html_module.escape(url)}"{others} referrerpolicy="no-referrer" loading="lazy">'
    return f'<img data-blocked="remote"{others}>'


def _own_image(content_id: str, image_url: ImageUrl | None) -> str:
    """Return the attribute for a picture that came with the mail."""
    url = image_url(content_id) if image_url else None
    if url:
        return f' src="{html_module.escape(url)}"'
    return f' data-cid="{html_module.escape(content_id)}"'


def _link(attributes: str, inner: str) -> str:
    target = dict(_ATTRIBUTE.findall(attributes)).get("href")
    if target is None:
        return inner
    url = html_module.unescape(target)
    title = html_module.escape(_shown_target(url))
    start = f'<a href="{target}" title="{title}" target="_blank" rel="{_REL}">'
    text = html_module.unescape(_MARKUP.sub("", inner))
    note = f" <small>[{html_module.escape(target_host(url))}]</small>" if misleads(text, url) else ""
    return f"{start}{inner}</a>{note}"


def _shown_target(url: str) -> str:
    """Return the URL, with its host as the network sees it where letters could be look-alikes."""
    host = target_host(url)
    if not host or host in url.lower():
        return url
    return f"{host} ({url})"


def count_remote(html: str) -> int:
    """Return how many elements would load something from elsewhere: images, backgrounds, fonts, frames.

    The 1×1 picture that reports the reading counts like any other. 0 for documents that are shown as text.
    """
    document = parsable(html)
    if document is None:
        return 0
    tree = LexborHTMLParser(document)
    styles = sum(len(_REMOTE_CSS.findall(node.text() or "")) for node in tree.css("style"))
    return styles + sum(_loads_remotely(node) for node in tree.css(_LOADING))


def _loads_remotely(node: LexborNode) -> bool:
    attributes = node.attributes
    for name in ("src", "background", "poster", "data", "href", "xlink:href"):
        if _REMOTE.match(attributes.get(name) or ""):
            return True
    if _REMOTE_IN_LIST.search(attributes.get("srcset") or ""):
        return True
    return bool(_REMOTE_CSS.search(attributes.get("style") or ""))
