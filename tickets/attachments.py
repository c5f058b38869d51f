"""Attachments: their bytes out of the raw mail, and the headers under which they leave us (T1, T3, W13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.utils.http import content_disposition_header

from archive.models import RawMail
from mailkit.filenames import safe_filename
from mailkit.parsing import ParsedAttachment, parse_message
from tickets.models import Attachment
from tickets.storable import storable

# Types a browser cannot be made to run as a page of ours; everything else leaves as octet-stream.
_HARMLESS: Final = frozenset({
    "application/pdf", "application/zip", "application/msword", "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint", "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "text/csv",
})  # fmt: skip
_SCRIPTABLE_ENDINGS: Final = (
    ".html", ".htm", ".shtml", ".xhtml", ".xht", ".mht", ".mhtml", ".svg", ".svgz", ".xml", ".xsl", ".xslt",
    ".js", ".mjs", ".css", ".swf", ".hta",
)  # fmt: skip
_PICTURES: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
OCTET_STREAM: Final = "application/octet-stream"
_CONFINED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class AttachmentMissing(LookupError):
    """The raw mail does not hold what the row describes: refuse rather than hand out something else."""


def attachment_rows(parsed: Sequence[ParsedAttachment]) -> list[Attachment]:
    """Unsaved rows for the attachments of a mail; the caller sets ``message``."""
    return [_row(position, one) for position, one in enumerate(parsed)]


def _row(position: int, parsed: ParsedAttachment) -> Attachment:
    return Attachment(
        position=position,
        filename=safe_filename(storable(parsed.filename, 8192), fallback=f"attachment-{position + 1}"),
        content_type=storable(parsed.content_type, 255),
        size=parsed.size,
        content_id=storable(parsed.content_id or "", 255),
        is_inline=parsed.is_inline,
    )


def read(attachment: Attachment) -> bytes:
    """The bytes of the attachment. Raises :class:`AttachmentMissing`.

    The caller has checked that the user may see the ticket; nothing here is cached, so that the check is made
    every time (W13).
    """
    raw = RawMail.objects.filter(ticket_messages=attachment.message_id).first()
    found = parse_message(raw.content_bytes).attachments if raw else []
    if attachment.position >= len(found):
        raise AttachmentMissing(attachment.pk)
    part = found[attachment.position]
    if part.size != attachment.size:
        raise AttachmentMissing(attachment.pk)
    return part.content


def download_headers(attachment: Attachment) -> dict[str, str]:
    """Headers of a download: always saved, never shown by the browser, whatever the sender calls it.

    The name is RFC 6266 with ``filename*`` where it is not ASCII, on one line (B55); HTML, SVG and XML are
    octet-stream even when they call themselves pictures (B56).
    """
    name = safe_filename(attachment.filename, fallback=f"attachment-{attachment.position + 1}")
    declared = attachment.content_type.split(";")[0].strip().lower()
    is_harmless = declared in _HARMLESS and not name.lower().endswith(_SCRIPTABLE_ENDINGS)
    disposition = content_disposition_header(as_attachment=True, filename=name)
    return {
        "Content-Type": declared if is_harmless else OCTET_STREAM,
        "Content-Disposition": disposition or "attachment",
        **_CONFINED,
    }


def shows_as_picture(attachment: Attachment) -> bool:
    """Whether the mail's HTML may show it: a raster type by its name; the bytes are checked when read."""
    return attachment.content_type.lower() in _PICTURES


def inline_headers(attachment: Attachment, content: bytes) -> dict[str, str] | None:
    """Headers of a picture shown inside the mail; None for what is no raster picture by its bytes (B43)."""
    kind = picture_type(content)
    if kind is None or not shows_as_picture(attachment):
        return None
    return {"Content-Type": kind, "Content-Disposition": "inline", **_CONFINED}


def picture_type(content: bytes) -> str | None:
    """Media type of a raster picture by its first bytes, whatever it is called."""
    for kind, beginnings in _PICTURES.items():
        if content.startswith(beginnings):
            return kind if kind != "image/webp" or content[8:12] == b"WEBP" else None
    return None
