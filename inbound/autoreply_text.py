"""Subject and text of an automatic answer: a sanitised template and two variables, taken literally (B84)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import nh3
from django.utils.html import escape, linebreaks
from django.utils.translation import gettext_lazy as _

from mailkit.html_text import html_to_text

MAX_SUBJECT_CHARS = 200
SAMPLE_NUMBER = "20261124-00042"
SAMPLE_SUBJECT = _("Delivery of our order 4711")
TAGS = {"a", "b", "blockquote", "br", "div", "em", "h2", "h3", "i", "li", "ol", "p", "strong", "u", "ul"}
_ATTRIBUTES = {"a": {"href"}}
_SCHEMES = {"http", "https", "mailto", "tel"}

_LINES = re.compile(r"<(?:p|br|div|ul|ol|h2|h3|blockquote)\b")
_VARIABLE = re.compile(r"\{(TICKET|BETREFF)\}")
# What mail programs turn into a link by themselves: with a scheme, with www., an address, or a bare host
# name.
_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}:/{0,2}|www\.)\S+|\S*@\S+|(?<![\w-])(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])\S*",
    re.IGNORECASE,
)


def sanitise(html: str) -> str:
    """What may stand in the text: simple formatting and links, no picture, no style, no script.

    Who types plain lines gets them as lines: without any mark-up of lines, breaks become paragraphs.
    """
    clean = nh3.clean(html, tags=TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=None)
    return clean if _LINES.search(clean) else str(linebreaks(clean))


def variables(*, number: str, subject: str) -> dict[str, str]:
    """Values of the variables: the bare ticket number, and the incoming subject without anything harmful."""
    return {"TICKET": number, "BETREFF": harmless_subject(subject)}


def harmless_subject(subject: str) -> str:
    """The subject on one line, without links, at most 200 characters: a stranger wrote it, and we repeat it
    (T6).
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in subject).split())
    return " ".join(_LINK.sub("", line).split())[:MAX_SUBJECT_CHARS].strip()


def render_subject(template: str, values: Mapping[str, str]) -> str:
    """The subject line; what the values hold is never looked at again."""
    return " ".join(_replace(template, values).split())


def render_html(template: str, values: Mapping[str, str]) -> str:
    """The text as HTML, sanitised again: the stored template may be older than the rules."""
    return _replace(sanitise(template), {name: escape(value) for name, value in values.items()})


def render_text(html: str) -> str:
    """The plain text made from the rendered HTML."""
    return html_to_text(html)


def _replace(template: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values[match[1]], template)


def preview(subject: str, html: str) -> dict[str, str]:
    """Subject, HTML and plain text with sample values, for the form; templates as they were typed."""
    values = variables(number=SAMPLE_NUMBER, subject=str(SAMPLE_SUBJECT))
    rendered = render_html(html, values)
    return {
        "preview_subject": render_subject(subject, values),
        "preview_html": rendered,
        "preview_text": render_text(rendered),
    }
