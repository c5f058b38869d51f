"""A raw message as something to work with: `parse_message`.

Everything is read from the bytes in one pass: `mailkit.mime` finds the structure, `mailkit.bodies` decodes
texts and attachments, this module reads the header fields that matter and assembles the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailkit.addresses import Address, parse_addresses
from mailkit.bodies import ParsedAttachment, ReportPart, read_bodies
from mailkit.dates import parse_date
from mailkit.defects import Defect, Defects
from mailkit.encoded_words import decode_words
from mailkit.errors import MalformedMessage
from mailkit.headers import Headers
from mailkit.limits import MAX_MESSAGE_BYTES, MAX_MESSAGE_ID_CHARS, MAX_SUBJECT_CHARS
from mailkit.mime import read_tree
from mailkit.threading import message_ids, normalise_message_id

__all__ = ["ParsedAttachment", "ParsedMessage", "ReportPart", "parse_message"]


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message, decoded. Strings hold no NUL and no lone surrogate; lists are never None.

    ``text`` has LF line ends and is made from the HTML where the message brings no text part; ``html`` is
    untrusted, for `mailkit.sanitize`. Ids stand without angle brackets. ``return_path`` is "" for the null
    path ``<>`` and None where the field is missing. ``defects`` holds values of `mailkit.defects.Defect`.
    ``report_parts`` are the parts of a multipart/report (RFC 6522), bounded in number and size.
    """

    subject: str
    from_: Address | None
    sender: Address | None
    reply_to: list[Address]
    to: list[Address]
    cc: list[Address]
    date: datetime | None
    message_id: str | None
    in_reply_to: str | None
    references: list[str]
    return_path: str | None
    delivered_to: list[str]
    text: str
    html: str
    attachments: list[ParsedAttachment]
    content_type: str
    report_type: str
    report_parts: list[ReportPart]
    headers: Headers
    defects: list[str]


def parse_message(raw: bytes) -> ParsedMessage:
    """Read a message of up to 64 MB in any state of repair.

    Raises MalformedMessage where there is nothing to read (``empty``) or where reading would cost more than
    any honest message does (``too-large``, ``too-many-headers``, ``too-deep``, ``too-many-parts``,
    ``too-many-attachments``); nothing else, whatever the bytes. ``raw`` itself is not changed.
    """
    if not raw or raw.isspace():
        raise MalformedMessage(code="empty")
    if len(raw) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(code="too-large")
    defects = Defects()
    if b"\n" not in raw and b"\r" in raw:
        defects.add(Defect.BARE_CR)
        raw = raw.replace(b"\r", b"\n")
    tree = read_tree(raw, defects)
    headers = tree.headers
    bodies = read_bodies(raw, tree, defects)
    in_reply_to = message_ids(headers.raw("in-reply-to") or "")
    return ParsedMessage(
        subject=_subject(headers, defects),
        from_=_from(headers, defects),
        sender=next(iter(_addresses(headers, "sender", defects)), None),
        reply_to=_addresses(headers, "reply-to", defects),
        to=_addresses(headers, "to", defects),
        cc=_addresses(headers, "cc", defects),
        date=_date(headers, defects),
        message_id=_message_id(headers, defects),
        in_reply_to=in_reply_to[0] if in_reply_to else None,
        references=message_ids(headers.raw("references") or ""),
        return_path=_return_path(headers),
        delivered_to=_delivered_to(headers),
        text=bodies.text,
        html=bodies.html,
        attachments=bodies.attachments,
        content_type=tree.content_type.value,
        report_type=tree.content_type.token("report-type").lower(),
        report_parts=bodies.report_parts,
        headers=headers,
        defects=defects.codes(),
    )


def _subject(headers: Headers, defects: Defects) -> str:
    if headers.count("subject") > 1:
        defects.add(Defect.SEVERAL_SUBJECTS)
    subject = decode_words(headers.raw("subject") or "")
    line = subject if subject.isprintable() else " ".join(subject.replace("\0", "").splitlines())
    return line.strip()[:MAX_SUBJECT_CHARS]


def _from(headers: Headers, defects: Defects) -> Address | None:
    """Return the author, who is None unless there is exactly a valid address to name."""
    fields = headers.all_raw("from")
    if not fields:
        defects.add(Defect.MISSING_FROM)
        return None
    authors = parse_addresses(fields[0], defects, Defect.INVALID_FROM)
    if len(fields) > 1 or len(authors) > 1:
        defects.add(Defect.SEVERAL_FROM)
    if not authors:
        defects.add(Defect.INVALID_FROM)
        return None
    return authors[0]


def _addresses(headers: Headers, name: str, defects: Defects) -> list[Address]:
    if headers.count(name) <= 1:
        value = headers.raw(name)
        return parse_addresses(value, defects) if value else []
    return parse_addresses(",".join(headers.all_raw(name)), defects)


def _date(headers: Headers, defects: Defects) -> datetime | None:
    value = headers.raw("date")
    if value is None:
        defects.add(Defect.MISSING_DATE)
        return None
    date = parse_date(value)
    if date is None:
        defects.add(Defect.INVALID_DATE)
    return date


def _message_id(headers: Headers, defects: Defects) -> str | None:
    value = headers.raw("message-id")
    if value is None:
        defects.add(Defect.MISSING_MESSAGE_ID)
        return None
    message_id = normalise_message_id(value)
    if not _is_sound_id(message_id, value):
        defects.add(Defect.INVALID_MESSAGE_ID)
    return message_id or None


def _is_sound_id(message_id: str, value: str) -> bool:
    """Return whether the id may be searched for on a server: what is odd about it never enters a command."""
    if len(message_id) >= MAX_MESSAGE_ID_CHARS or not message_id.isascii():
        return False
    return "@" in message_id and message_id in value and not set(message_id) & set('"\\()<>')


def _return_path(headers: Headers) -> str | None:
    value = headers.raw("return-path")
    if value is None:
        return None
    addresses = parse_addresses(value, Defects())
    return addresses[0].address if addresses else ""


def _delivered_to(headers: Headers) -> list[str]:
    """Return the addresses that mail servers noted on delivery, newest first."""
    values = [
        value
        for name in ("delivered-to", "x-original-to", "envelope-to", "x-delivered-to")
        for value in headers.all_raw(name)[:20]
    ]
    found = [address.address for value in values for address in parse_addresses(value, Defects())]
    return list(dict.fromkeys(found))
