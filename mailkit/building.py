"""Building the mails we send: canonical CRLF, seven bits, correct by RFC 5322, 2045–2047, 2231 and 2387.

Bytes are made once, when a mail is queued, and never again: what is on the wire is what lies in the Sent
folder and in the archive. Bcc has no place here; it lives in the envelope only.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol

from mailkit.arguments import reject_line_breakers
from mailkit.delivery import envelope_address
from mailkit.errors import InvalidAddress, InvalidArgument
from mailkit.header_encoding import field as header_field
from mailkit.header_encoding import parameter_tokens, phrase_tokens, text_field, with_parameters

_LINE_END = re.compile(r"\r\n|\r|\n")
_LONGEST_PLAIN_LINE = 990
_NEEDS_ENCODING = re.compile(rb"[^\t\r\n -~]|^From |\r\n\.", re.MULTILINE)
_CONTENT_TYPE = re.compile(
    r"(application|audio|font|image|model|text|video|message)/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,100}\Z"
)
_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,800}\Z")
_LATEST_REFERENCES = 20
_OWN_FIELDS = frozenset(
    ("from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "in-reply-to",
     "references", "mime-version", "received", "return-path", "resent-bcc")
)  # fmt: skip


class Mailbox(Protocol):
    """A display name (may be empty) and an addr-spec, such as ``mailkit.addresses.Address``."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


@dataclass(frozen=True)
class Attachment:
    """A file to attach; with ``content_id`` (no brackets) an inline part that the HTML shows as ``cid:…``."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True)
class Draft:
    """What a mail says. Ids are given without angle brackets; ``date`` is aware.

    ``message_id`` None: one is made under ``message_id_domain``, else under the sender's domain. ``headers``
    are further fields (Auto-Submitted, X-Auto-Response-Suppress, X-Loop …); those that this module writes are
    refused. ``language`` is a tag of RFC 5646, for Content-Language.
    """

    from_: Mailbox
    to: Sequence[Mailbox]
    subject: str
    text: str
    date: datetime
    cc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    message_id: str | None = None
    message_id_domain: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None


@dataclass(frozen=True)
class BuiltMessage:
    """The frozen bytes, and the Message-ID without brackets."""

    raw: bytes = field(repr=False)
    message_id: str


@dataclass(frozen=True)
class _Part:
    """A MIME entity: its own header fields and its body, both ending in CRLF."""

    head: bytes
    body: bytes

    def __bytes__(self) -> bytes:
        return self.head + b"\r\n" + self.body


def build_message(draft: Draft) -> BuiltMessage:
    """Build ``draft``.

    Raises InvalidArgument (control characters, a naive date, a refused header) and InvalidAddress.

    The structure is as simple as the content allows: mixed(related(alternative(text, html), inline …),
    attachments …).
    """
    message_id = draft.message_id or new_message_id(
        draft.message_id_domain or draft.from_.address.rpartition("@")[2]
    )
    content = _content(draft)
    head = b"".join(
        [
            *_originator_fields(draft),
            *_identity_fields(draft, message_id),
            *_extra_fields(draft),
            b"MIME-Version: 1.0\r\n",
        ]
    )
    return BuiltMessage(head + bytes(content), message_id.strip("<>"))


def new_message_id(domain: str) -> str:
    """Return a Message-ID, without brackets, that nobody has used or can guess.

    Raises InvalidAddress for no domain.
    """
    return envelope_address(f"{uuid.uuid4()}@{domain}")


def _originator_fields(draft: Draft) -> list[bytes]:
    fields = [header_field("From", mailbox_tokens([draft.from_]))]
    if draft.to or not draft.cc:
        fields.append(header_field("To", mailbox_tokens(draft.to) or ["undisclosed-recipients:;"]))
    if draft.cc:
        fields.append(header_field("Cc", mailbox_tokens(draft.cc)))
    if draft.reply_to:
        fields.append(header_field("Reply-To", mailbox_tokens(draft.reply_to)))
    return fields


def mailbox_tokens(mailboxes: Sequence[Mailbox]) -> list[str]:
    """Return an address list (RFC 5322 §3.4) as words to fold between."""
    tokens: list[str] = []
    for mailbox in mailboxes:
        if tokens:
            tokens[-1] += ","
        address = envelope_address(mailbox.address)
        if not address.isascii():
            raise InvalidAddress(mailbox.address)
        phrase = phrase_tokens(mailbox.name)
        tokens += [*phrase, f"<{address}>"] if phrase else [address]
    return tokens


def _identity_fields(draft: Draft, message_id: str) -> list[bytes]:
    if draft.date.tzinfo is None:
        raise InvalidArgument("the date has no time zone")
    own = _usable_ids([message_id])
    if not own:
        raise InvalidArgument("not a Message-ID")
    fields = [
        text_field("Subject", draft.subject),
        header_field("Date", format_datetime(draft.date).split(" ")),
        header_field("Message-ID", own),
    ]
    if parent := _usable_ids([draft.in_reply_to or ""]):
        fields.append(header_field("In-Reply-To", parent))
    if references := _capped(_usable_ids(draft.references)):
        fields.append(header_field("References", references))
    return fields


def _usable_ids(ids: Sequence[str]) -> list[str]:
    """Return the ids in brackets. Control characters raise; what else cannot stand in a field is left out.

    A customer's broken Message-ID must not keep an agent from answering.
    """
    bare = [reject_line_breakers(i, "A Message-ID").strip().removeprefix("<").removesuffix(">") for i in ids]
    return [f"<{i}>" for i in dict.fromkeys(bare) if _MESSAGE_ID.match(i)]


def _capped(references: list[str]) -> list[str]:
    """Keep the first, which names the thread, and the latest: RFC 5322 sets no bound, mail servers do."""
    if len(references) <= _LATEST_REFERENCES + 1:
        return references
    return [references[0], *references[-_LATEST_REFERENCES:]]


def _extra_fields(draft: Draft) -> list[bytes]:
    fields = []
    for name, value in draft.headers.items():
        if name.lower() in _OWN_FIELDS or name.lower().startswith("content-"):
            raise InvalidArgument(f"{name} is not a further header")
        fields.append(text_field(name, value))
    if draft.language:
        fields.append(text_field("Content-Language", draft.language))
    return fields


def _content(draft: Draft) -> _Part:
    inline = [a for a in draft.attachments if a.content_id and draft.html]
    attached = [a for a in draft.attachments if a not in inline]
    content = _text_part(draft.text, "plain")
    if draft.html:
        content = _multipart("alternative", [content, _text_part(draft.html, "html")])
    if inline:
        content = _multipart(
            "related", [content, *map(_attachment_part, inline)], 'type="multipart/alternative"'
        )
    if attached:
        content = _multipart("mixed", [content, *map(_attachment_part, attached)])
    return content


def _text_part(text: str, subtype: str) -> _Part:
    octets = (_LINE_END.sub("\r\n", text).removesuffix("\r\n") + "\r\n").encode("utf-8", "replace")
    charset = "us-ascii" if octets.isascii() else "utf-8"
    encoding, body = _encode_text(octets)
    kind = header_field("Content-Type", with_parameters(f"text/{subtype}", [f"charset={charset}"]))
    return _Part(kind + header_field("Content-Transfer-Encoding", [encoding]), body)


def _encode_text(octets: bytes) -> tuple[str, bytes]:
    """Choose the most readable encoding that survives: 7bit, else quoted-printable, else base64."""
    if not _NEEDS_ENCODING.search(octets) and max(map(len, octets.split(b"\r\n"))) <= _LONGEST_PLAIN_LINE:
        return "7bit", octets
    quoted = binascii.b2a_qp(octets, istext=True)
    if len(quoted) > 2 * len(octets):
        return "base64", _base64_lines(octets)
    # Some mail servers turn "From " at the start of a line into ">From ", and few mishandle a leading dot.
    quoted = re.sub(rb"^From ", b"=46rom ", quoted, flags=re.MULTILINE)
    return "quoted-printable", re.sub(rb"^\.", b"=2E", quoted, flags=re.MULTILINE)


def _base64_lines(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _attachment_part(attachment: Attachment) -> _Part:
    content_type = _content_type(attachment)
    encoding, body = _encode_attachment(attachment.content, content_type)
    disposition = "inline" if attachment.content_id else "attachment"
    fields = [
        header_field(
            "Content-Type", with_parameters(content_type, parameter_tokens("name", attachment.filename))
        ),
        header_field("Content-Transfer-Encoding", [encoding]),
        header_field(
            "Content-Disposition",
            with_parameters(disposition, parameter_tokens("filename", attachment.filename)),
        ),
    ]
    if attachment.content_id:
        fields.append(header_field("Content-ID", _content_id(attachment.content_id)))
    return _Part(b"".join(fields), body)


def _content_id(content_id: str) -> list[str]:
    tokens = _usable_ids([content_id])
    if not tokens:
        raise InvalidArgument("not a Content-ID")
    return tokens


def _content_type(attachment: Attachment) -> str:
    """Return the declared type, or octet-stream where it is none that an attachment can have."""
    declared = reject_line_breakers(attachment.content_type, "A content type").lower()
    is_embeddable = declared == "message/rfc822" and _is_seven_bit(attachment.content)
    if not _CONTENT_TYPE.match(declared) or (declared.startswith("message/") and not is_embeddable):
        return "application/octet-stream"
    return declared


def _is_seven_bit(content: bytes) -> bool:
    ends = content.count(b"\r\n")
    is_canonical = ends == content.count(b"\r") == content.count(b"\n") and content.endswith(b"\r\n")
    return (
        is_canonical
        and b"\0" not in content
        and content.isascii()
        and max(map(len, content.split(b"\r\n"))) <= 998
    )


def _encode_attachment(content: bytes, content_type: str) -> tuple[str, bytes]:
    if content_type == "message/rfc822":  # RFC 2046 §5.2.1 allows it no encoding
        return "7bit", content
    return "base64", _base64_lines(content) or b"\r\n"


def _multipart(subtype: str, parts: Sequence[_Part], *parameters: str) -> _Part:
    # "=_" can stand in neither base64 nor quoted-printable; the rest cannot be guessed by what it encloses.
    boundary = f"=_{secrets.token_hex(16)}"
    delimiter = f"--{boundary}".encode("ascii")
    pieces = [delimiter + b"\r\n" + bytes(part) for part in parts]
    kind = with_parameters(f"multipart/{subtype}", [f'boundary="{boundary}"', *parameters])
    return _Part(header_field("Content-Type", kind), b"".join([*pieces, delimiter, b"--\r\n"]))
