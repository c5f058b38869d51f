"""What ties a message to a conversation: Message-IDs (RFC 5322 §3.6.4), subjects, ticket numbers."""

from __future__ import annotations

import re
from typing import Final

from mailkit.limits import MAX_MESSAGE_ID_CHARS, MAX_REFERENCES

_ID: Final = re.compile(r"<([^<>]*)>")
_UNFIT: Final = re.compile(r"[\s\x00-\x1f\x7f]+")
# "Re:", "AW:", "WG:", "Fwd:", also counted "Re[2]:", "AW(3):" and in the languages German mailboxes see.
_PREFIX: Final = re.compile(
    r"\s*+(?:re|aw|antw(?:ort)?|wg|fwd?|weitergeleitet|sv|vs|rif|r|tr|rv|enc|odp|pd|ynt|ilt|res)"
    r"(?:\s?[\[(]\d{1,3}[\])])?\s?[:：]\s*+",
    re.IGNORECASE,
)
_TICKET_NUMBER: Final = re.compile(
    r"(?<![\w-])(20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-(?:\d{5}|[1-9]\d{5,6}))(?![\w-])"
)
_TICKET_TAG: Final = re.compile(r"\[\s?#?\s?20\d{6}-\d{5,7}\s?\]")
_BLANKS: Final = re.compile(r"\s+")


def normalise_message_id(value: str) -> str:
    """Return an id without angle brackets and blanks, cut at 998 characters; empty when there is none."""
    match = _ID.search(value)
    return _UNFIT.sub("", match[1] if match else value)[:MAX_MESSAGE_ID_CHARS]


def message_ids(value: str) -> list[str]:
    """Return the ids of a References or In-Reply-To field in order, each once, without angle brackets.

    Of more than `MAX_REFERENCES` the first and the last ones are kept: the thread's root and its newest
    messages. A bare ``id@host`` without brackets is taken too; mailers' prose around ids is not.
    """
    found = [_UNFIT.sub("", inner)[:MAX_MESSAGE_ID_CHARS] for inner in _ID.findall(value)]
    if not found:
        found = [word[:MAX_MESSAGE_ID_CHARS] for word in value.split() if "@" in word.strip("@")]
    unique = list(dict.fromkeys(filter(None, found)))
    if len(unique) <= MAX_REFERENCES:
        return unique
    return unique[:1] + unique[1 - MAX_REFERENCES :]


def strip_reply_prefixes(subject: str) -> str:
    """Return the subject without any leading ``Re:``, ``AW:``, ``WG:``, ``Fwd:`` and the like."""
    position = 0
    while match := _PREFIX.match(subject, position):
        position = match.end()
    return subject[position:].strip()


def subject_base(subject: str) -> str:
    """Return the subject to compare threads by: no prefixes, no ticket tag, single blanks, case-folded."""
    bare = _TICKET_TAG.sub(" ", strip_reply_prefixes(subject))
    return _BLANKS.sub(" ", strip_reply_prefixes(bare)).strip().casefold()


def ticket_number_in_subject(subject: str) -> str | None:
    """Return the first ticket number ``YYYYMMDD-NNNNN``, with or without ``[#…]`` around it, else None.

    Five digits are the rule; a day that imports more than 99,999 mails has six or seven. Digits that continue
    on either side (an invoice number, a telephone number) are no ticket number.
    """
    match = _TICKET_NUMBER.search(subject)
    return match[1] if match else None
