"""What a message says and carries: its text, its HTML and its attachments, decoded."""

from __future__ import annotations

import html as html_module
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from mailkit import charsets
from mailkit.defects import Defect, Defects
from mailkit.errors import MalformedMessage
from mailkit.filenames import safe_filename
from mailkit.headers import read_header
from mailkit.html_text import html_to_text
from mailkit.limits import MAX_ATTACHMENTS, MAX_BODY_BYTES, MAX_REPORT_PART_BYTES, MAX_REPORT_PARTS
from mailkit.mime import Part, Tree
from mailkit.parameters import parameter_text
from mailkit.threading import normalise_message_id
from mailkit.transfer import decode_transfer

_CID: Final = re.compile(r"""cid:([^"'\s<>)]{1,998})""", re.IGNORECASE)
_TEXT_TYPES: Final = frozenset({"text/plain", "text/html"})
_EXTENSIONS: Final = {
    "application/msword": "doc", "application/pdf": "pdf", "application/pgp-signature": "asc",
    "application/pkcs7-signature": "p7s", "application/vnd.ms-excel": "xls", "application/xml": "xml",
    "application/zip": "zip", "application/ms-tnef": "dat", "image/gif": "gif", "image/jpeg": "jpg",
    "image/png": "png", "image/svg+xml": "svg", "image/tiff": "tif", "image/webp": "webp",
    "message/delivery-status": "txt", "message/rfc822": "eml", "text/calendar": "ics", "text/csv": "csv",
    "text/html": "html", "text/plain": "txt", "text/rfc822-headers": "txt", "text/vcard": "vcf",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A part that is not the message's own text.

    ``filename`` has been through `mailkit.filenames.safe_filename`; ``content_type`` is what the sender
    claims; ``size`` counts the bytes of ``content``. ``is_inline`` parts are shown by the HTML through their
    ``content_id`` and need not be listed.
    """

    filename: str
    content_type: str
    size: int
    content_id: str | None
    content: bytes = field(repr=False)
    is_inline: bool


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A part of a multipart/report: ``content`` decoded, cut at `MAX_REPORT_PART_BYTES`."""

    content_type: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Bodies:
    """Everything below the header."""

    text: str = ""
    html: str = ""
    attachments: list[ParsedAttachment] = field(default_factory=list)
    report_parts: list[ReportPart] = field(default_factory=list)


@dataclass(slots=True)
class _Segment:
    """The versions of one stretch of the message's own words."""

    texts: list[str] = field(default_factory=list)
    htmls: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """Return the plain version, made from the HTML where there is none."""
        if self.texts:
            return "\n".join(self.texts)
        return "\n\n".join(html_to_text(html) for html in self.htmls)

    def plain_pieces(self) -> list[str]:
        """Return what can stand below another segment's HTML: never markup.

        Two documents are not joined as markup, because an attribute left open in the first would swallow
        the second (EFAIL).
        """
        return [html_to_text(html) for html in self.htmls] or self.texts


def read_bodies(raw: bytes, tree: Tree, defects: Defects) -> Bodies:
    """Decode the leaves. Raises MalformedMessage (``too-many-attachments``) before anything is decoded."""
    own = [part for part in tree.parts if _is_own_text(part)]
    others = [part for part in tree.parts if not _is_own_text(part)]
    if len(others) > MAX_ATTACHMENTS:
        raise MalformedMessage(code="too-many-attachments")
    bodies = Bodies()
    bodies.text, bodies.html = _join(_segments(raw, own, defects))
    shown = _shown_ids(bodies.html) if others else frozenset()
    bodies.attachments = [
        _attachment(raw, part, number, shown, defects) for number, part in enumerate(others, 1)
    ]
    if tree.content_type.value == "multipart/report":
        bodies.report_parts = _report_parts(raw, tree)
    return bodies


def _is_own_text(part: Part) -> bool:
    if part.content_type.value not in _TEXT_TYPES or part.disposition.value == "attachment":
        return False
    named = part.disposition.parameters.get("filename") or part.content_type.parameters.get("name")
    return not named or part.group is not None


def _segments(raw: bytes, parts: list[Part], defects: Defects) -> list[_Segment]:
    """Group the text parts: those within one multipart/alternative say the same (RFC 2046 §5.1.4)."""
    segments: dict[tuple[str, int], _Segment] = {}
    for part in parts:
        key = ("part", part.start) if part.group is None else ("group", part.group)
        segment = segments.setdefault(key, _Segment())
        versions = segment.htmls if part.content_type.value == "text/html" else segment.texts
        versions.append(_text(raw, part, defects))
    return list(segments.values())


def _text(raw: bytes, part: Part, defects: Defects) -> str:
    data = raw[part.start : min(part.end, part.start + 3 * MAX_BODY_BYTES)]
    data, defect = decode_transfer(data, part.encoding)
    if len(data) > MAX_BODY_BYTES or part.end - part.start > 3 * MAX_BODY_BYTES:
        defect = Defect.BODY_CUT
        data = data[:MAX_BODY_BYTES]
    defects.add(defect)
    text, charset_defect = charsets.decode(data, part.content_type.token("charset"))
    defects.add(charset_defect)
    return _tidy(text, defects)


def _tidy(text: str, defects: Defects) -> str:
    """Return text with LF line ends and without NULs, which PostgreSQL refuses."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        defects.add(Defect.NUL_REMOVED)
        text = text.replace("\0", "")
    return text.removeprefix("\ufeff")


def _join(segments: list[_Segment]) -> tuple[str, str]:
    """Return the whole text and the whole HTML of the message; the latter is empty if none brings any."""
    text = "\n".join(segment.as_text() for segment in segments)
    first = next((number for number, segment in enumerate(segments) if segment.htmls), None)
    if first is None:
        return text, ""
    leading = [piece for segment in segments[:first] for piece in segment.texts]
    rich = segments[first]
    trailing = [html_to_text(html) for html in rich.htmls[1:]]
    trailing += [piece for segment in segments[first + 1 :] for piece in segment.plain_pieces()]
    before = "".join(_as_html(piece) for piece in leading)
    return text, before + rich.htmls[0] + "".join(_as_html(piece) for piece in trailing)


def _as_html(text: str) -> str:
    """Return plain text as a block that keeps its line breaks; empty text leaves no trace."""
    if not text.strip():
        return ""
    return "<div>" + html_module.escape(text).replace("\n", "<br>\n") + "</div>"


def _shown_ids(html: str) -> frozenset[str]:
    if "cid:" not in html and "CID:" not in html:
        return frozenset()
    return frozenset(unquote(html_module.unescape(name)) for name in _CID.findall(html))


def _attachment(
    raw: bytes, part: Part, number: int, shown: frozenset[str], defects: Defects
) -> ParsedAttachment:
    content, defect = decode_transfer(raw[part.start : part.end], part.encoding)
    defects.add(defect)
    content_id = normalise_message_id(part.headers.raw("content-id") or "") or None
    return ParsedAttachment(
        filename=_filename(raw, part, number),
        content_type=part.content_type.value,
        size=len(content),
        content_id=content_id,
        content=content,
        is_inline=content_id in shown,
    )


def _filename(raw: bytes, part: Part, number: int) -> str:
    kind = part.content_type.value
    extension = _EXTENSIONS.get(kind, "txt" if kind.startswith("message/") else "bin")
    fallback = f"attachment-{number}.{extension}"
    name = parameter_text(part.disposition, "filename") or parameter_text(part.content_type, "name")
    if not name and kind == "message/rfc822":
        name = _attached_subject(raw, part)
    return safe_filename(name, fallback) if name else fallback


def _attached_subject(raw: bytes, part: Part) -> str:
    headers, _ = read_header(raw, part.start, part.end, Defects())
    subject = headers.get("subject") or ""
    return subject.replace("/", "-") + ".eml" if subject.strip() else ""


def _report_parts(raw: bytes, tree: Tree) -> list[ReportPart]:
    parts = [part for part in tree.parts if part.in_report][:MAX_REPORT_PARTS]
    return [ReportPart(part.content_type.value, _report_content(raw, part)) for part in parts]


def _report_content(raw: bytes, part: Part) -> bytes:
    encoded = raw[part.start : min(part.end, part.start + 2 * MAX_REPORT_PART_BYTES)]
    return decode_transfer(encoded, part.encoding)[0][:MAX_REPORT_PART_BYTES]
