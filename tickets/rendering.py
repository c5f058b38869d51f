"""Showing a message: sanitised HTML for a sandboxed frame, plain text with links, quotes folded.

Mail is sanitised at every view, so that a better sanitiser also protects from old mail (docs/adr).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from mailkit.links import misleads, target_host
from mailkit.quoting import split_quote
from mailkit.sanitize import count_remote, sanitize_html
from tickets.attachments import shows_as_picture
from tickets.models import Attachment, TicketMessage

AttachmentUrl = Callable[[Attachment], str]

# The frame has no scripts anyway (sandbox); this says so twice, and lets nothing load but pictures.
_POLICY: Final = "default-src 'none'; img-src {images}; style-src 'self'; base-uri 'none'; form-action 'none'"
_OWN_IMAGES: Final = "'self' data:"
_BLOCKQUOTE: Final = re.compile(r"<(/?)blockquote\b[^>]*>")
_ANY_TAG: Final = re.compile(r"<(?!img\b)[^>]*>")
_URL: Final = re.compile(r"https?://[^\s<>\"]{1,2000}")
_TRAILING: Final = ".,;:!?'*_)]}»“”"


@dataclass(frozen=True, slots=True)
class TextBody:
    """A plain text as safe HTML: what is new, and what it quotes, to be folded."""

    new: SafeString
    quoted: SafeString
    quoted_lines: int


def frame_document(
    message: TicketMessage,
    *,
    allow_remote: bool,
    attachment_url: AttachmentUrl,
    attachments: Iterable[Attachment] | None = None,
) -> str:
    """A whole HTML document for the ``srcdoc`` of a frame sandboxed without scripts, with its own CSP (W8).

    Remote pictures appear only with ``allow_remote``; the page's own CSP must allow ``https:`` pictures then,
    as a frame inherits it. ``cid:`` pictures come from ``attachment_url``, raster types only (B43).
    ``attachments`` of the message spare a query.
    """
    if message.untrusted_html.strip():
        found = message.attachments.all() if attachments is None else attachments
        body = _html_body(message.untrusted_html, _pictures(found, attachment_url), allow_remote=allow_remote)
    else:
        body = _folded_text(text_body(message.text))
    context = {
        "body": body,
        "language": get_language(),
        "policy": _POLICY.format(images=f"{_OWN_IMAGES} https:" if allow_remote else _OWN_IMAGES),
        "stylesheet": static("tickets/letter.css"),
    }
    return render_to_string("tickets/frame.html", context)


def remote_count(message: TicketMessage) -> int:
    """How many remote pictures and the like the message would load."""
    return count_remote(message.untrusted_html) if message.untrusted_html else 0


def text_body(text: str) -> TextBody:
    """Plain text as escaped HTML with links, new text and quotation apart; nothing at all says so (B2)."""
    new, quoted = split_quote(text)
    if not new.strip() and not quoted.strip():
        return TextBody(format_html('<span class="muted">{}</span>', _("(no content)")), SafeString(""), 0)
    return TextBody(_linked(new), _linked(quoted), quoted.count("\n") + 1 if quoted.strip() else 0)


def _html_body(html: str, pictures: dict[str, str], *, allow_remote: bool) -> SafeString:
    clean = sanitize_html(html, image_url=pictures.get, allow_remote=allow_remote)
    if not _ANY_TAG.sub("", clean).strip():
        return text_body("").new
    return mark_safe(_fold_quote(clean))  # noqa: S308  # the sanitiser's output, with our own <details> put in


def _pictures(attachments: Iterable[Attachment], attachment_url: AttachmentUrl) -> dict[str, str]:
    """URLs by Content-ID; of several parts with one id the first counts (RFC 2392 leaves it open)."""
    found: dict[str, Attachment] = {}
    for attachment in attachments:
        if attachment.content_id:
            found.setdefault(attachment.content_id, attachment)
    return {key: attachment_url(one) for key, one in found.items() if shows_as_picture(one)}


def _fold_quote(clean: str) -> str:
    """Put the quotation at the end of sanitised HTML into ``<details>``.

    ``clean`` is a serialised tree, so its tags are balanced, and an element may be wrapped in place.
    """
    start, end = _closing_quotation(clean)
    if start < 0 or not _ANY_TAG.sub("", clean[:start]).strip():
        return clean
    summary = format_html("<details><summary>{}</summary>", _("Show quotation"))
    return f"{clean[:start]}{summary}{clean[start:end]}</details>{clean[end:]}"


def _closing_quotation(clean: str) -> tuple[int, int]:
    """Where the last outermost blockquote lies, if nothing but white space follows it; else (-1, -1)."""
    depth, start, end = 0, -1, -1
    for tag in _BLOCKQUOTE.finditer(clean):
        if tag[1]:
            depth -= 1
            end = tag.end() if depth == 0 else end
        else:
            start = tag.start() if depth == 0 else start
            depth += 1
    if depth or end < 0 or _ANY_TAG.sub("", clean[end:]).replace("&nbsp;", " ").strip():
        return -1, -1
    return start, end


def _folded_text(body: TextBody) -> SafeString:
    if not body.quoted:
        return format_html('<div class="plain">{}</div>', body.new)
    return format_html(
        '<div class="plain">{}</div><details><summary>{}</summary><div class="plain">{}</div></details>',
        body.new, _("Show quotation"), body.quoted,
    )  # fmt: skip


def _linked(text: str) -> SafeString:
    pieces, position = [], 0
    for match in _URL.finditer(text):
        url = match[0].rstrip(_TRAILING)
        pieces += [format_html("{}", text[position : match.start()]), _link(url)]
        position = match.start() + len(url)
    pieces.append(format_html("{}", text[position:]))
    return mark_safe("".join(pieces))  # noqa: S308  # every piece is escaped


def _link(url: str) -> SafeString:
    note = f" [{target_host(url)}]" if misleads(url, url) else ""
    return format_html(
        '<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>{}', url, url, note
    )
