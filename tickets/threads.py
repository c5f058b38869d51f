"""What ties mails together: Message-IDs as they are stored, looked up and sent on, subjects of answers."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from mailkit.threading import strip_reply_prefixes

if TYPE_CHECKING:
    from mailkit.parsing import ParsedMessage
    from tickets.models import TicketMessage

_ID_COLUMN: Final = 255
_DIGEST: Final = "sha256:"
# A thread is found by its newest ids and its root; the rest only costs look-ups.
_LATEST: Final = 20
_SENDABLE: Final = re.compile(r"[!-;=?-~]{1,255}")
_TAG: Final = re.compile(r"\s*\[\s?#?\s?\d{8}-\d{5,7}\s?\]")
_SUBJECT_CHARS: Final = 300


def stored_id(message_id: str | None) -> str:
    """The id as the database keeps it: one too long for the column is its digest, never a prefix (B72)."""
    if not message_id or len(message_id) <= _ID_COLUMN:
        return message_id or ""
    return _DIGEST + hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()


def answered_ids(parsed: ParsedMessage) -> list[str]:
    """Stored ids of the mails this one answers, latest first: In-Reply-To, then References backwards."""
    references = parsed.references
    newest = [*references[:1], *references[1:][-_LATEST:]][::-1]
    ids = [parsed.in_reply_to, *newest] if parsed.in_reply_to else newest
    return [stored_id(one) for one in dict.fromkeys(ids)]


def kept_references(parsed: ParsedMessage) -> list[str]:
    """The part of References worth keeping for an answer: the root and the newest ones."""
    references = [one for one in parsed.references if is_sendable(one)]
    return [*references[:1], *references[1:][-_LATEST:]]


def is_sendable(message_id: str) -> bool:
    """Whether the id may stand in a header of ours (RFC 5322 §3.6.4): printable ASCII of sane length."""
    return bool(_SENDABLE.fullmatch(message_id)) and not message_id.startswith(_DIGEST)


def answer_headers(message: TicketMessage | None) -> tuple[str | None, list[str]]:
    """In-Reply-To and References of an answer to ``message`` (RFC 5322 §3.6.4)."""
    if message is None:
        return None, []
    own = [message.message_id] if is_sendable(message.message_id) else []
    return (own[0] if own else None), [*message.references, *own]


def answer_subject(subject: str, number: str) -> str:
    """``Re: subject [#number]`` with one prefix and one tag, on one line, ours instead of any other tag."""
    return _tagged(f"Re: {_bare(subject)}", number)


def opening_subject(subject: str, number: str) -> str:
    """Subject of the first mail of a ticket that we begin: as written, with the tag."""
    return _tagged(_bare(subject, prefixes=True), number)


def _tagged(subject: str, number: str) -> str:
    return f"{subject[:_SUBJECT_CHARS].rstrip()} [#{number}]"


def _bare(subject: str, *, prefixes: bool = False) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in subject).split())
    untagged = _TAG.sub("", line).strip()
    return untagged if prefixes else strip_reply_prefixes(untagged)
