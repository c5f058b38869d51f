"""Mail that machines wrote, and mail that must not be answered by one (RFC 3834)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mailkit.defects import Defect
from mailkit.parsing import ParsedMessage

MAX_RECEIVED: Final = 30
"""Hops after which a message is taken to run in circles (honest mail has about five)."""

_LIST_FIELDS: Final = (
    "list-id", "list-post", "list-unsubscribe", "list-help", "list-subscribe", "list-owner", "list-archive",
    "mailing-list", "x-mailing-list", "x-mailman-version", "x-list-id",
)  # fmt: skip
_AUTO_REPLY_FIELDS: Final = (
    "x-autoreply",
    "x-autorespond",
    "x-auto-reply-from",
    "x-autoresponder",
    "x-vacation",
)
_BULK: Final = frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})
_SYSTEM_SENDER: Final = re.compile(
    r"(?:mailer-daemon|postmaster|mail-daemon|daemon|root|listserv|majordomo|www-data"
    r"|owner-.*|.*-(?:owner|request|bounces?)|(?:.*[-_.+])?bounces?(?:[-_.+=].*)?"
    r"|(?:.*[-_.+])?(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|nicht[-_.]?antworten|keine[-_.]?antwort)(?:[-_.+].*)?)",
    re.IGNORECASE,
)
# At the start only: "AW: Abwesenheitsnotiz" was written by a person who answers one.
_AUTO_SUBJECT: Final = re.compile(
    r"\s*(?:\[[^\]]{0,40}\]\s*)?(?:"
    r"abwesenheits(?:notiz|nachricht|meldung|benachrichtigung|assistent|agent)"
    r"|automatische (?:antwort|r[üu]ckmeldung|(?:eingangs|empfangs)best[äa]tigung)"
    r"|autom\. antwort|auto-?antwort\b|urlaubs(?:notiz|abwesenheit)"
    r"|(?:bin |ich bin )?(?:zur ?zeit |derzeit |momentan )?"
    r"(?:abwesend|nicht im (?:b[üu]ro|haus|hause))\s*(?:[:(–-]|bis\b|vom\b|$)"
    r"|automatic (?:reply|response)|auto[- ]?(?:reply|response|matic reply)\b|autoresponder"
    r"|out of (?:the )?office(?: (?:auto[- ]?)?(?:reply|message|notice|notification|response))?"
    r"\s*(?:[:(–-]|$)"
    r"|(?:on )?vacation (?:notice|reply|message)|away from (?:my )?(?:office|desk)"
    r"|r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica|automatisch antwoord"
    r")",
    re.IGNORECASE,
)


def is_auto_reply(parsed: ParsedMessage) -> bool:
    """Return whether an automatic responder wrote this: an out-of-office notice, a confirmation of receipt.

    Recognised by fields, and where responders send none, by the subjects German and English systems use.
    Reports about deliveries are none (`mailkit.bounces`).
    """
    if _is_report(parsed):
        return False
    submitted = _first_word(parsed, "auto-submitted")
    if submitted in {"auto-replied", "auto-notified"} or _has_auto_reply_field(parsed):
        return True
    if _first_word(parsed, "precedence") in {"auto_reply", "auto-reply"}:
        return True
    return bool(_AUTO_SUBJECT.match(parsed.subject))


def is_looping(parsed: ParsedMessage, own_mark: str) -> bool:
    """Return whether the message has been here before: more than 30 hops, or X-Loop holds ``own_mark``."""
    marks = parsed.headers.all("x-loop")
    return _has_too_many_hops(parsed) or any(own_mark in mark for mark in marks)


def is_system_address(address: str) -> bool:
    """Return whether nobody reads that mailbox: mailer-daemon, noreply, -request, owner-, bounces …"""
    return bool(_SYSTEM_SENDER.fullmatch(address.rpartition("@")[0]))


def autoreply_suppression_reason(parsed: ParsedMessage) -> str | None:
    """Return why no automatic answer may go to this message, as a stable code, or None where one may.

    Codes, first match wins: ``loop``, ``report``, ``auto-submitted``, ``null-return-path``,
    ``no-valid-from``, ``several-from``, ``mailing-list``, ``precedence``, ``auto-response-suppress``,
    ``auto-reply``, ``system-sender``. Follows RFC 3834 §2 and what Microsoft and the list managers
    add to it. Own addresses, counters and authentication results are the caller's to judge.
    """
    return next((code for code, applies in _REASONS if applies(parsed)), None)


def _has_too_many_hops(parsed: ParsedMessage) -> bool:
    return parsed.headers.count("received") > MAX_RECEIVED


def _first_word(parsed: ParsedMessage, name: str) -> str:
    """Return the first token of a field in lower case, without comment and parameters."""
    if name not in parsed.headers:
        return ""
    words = re.split(r"[\s;,(]", (parsed.headers.get(name) or "").strip(), maxsplit=1)
    return words[0].lower()


def _is_report(parsed: ParsedMessage) -> bool:
    """Delivery reports (RFC 3464), read receipts (RFC 8098), abuse reports (RFC 5965)."""
    return parsed.content_type in {
        "multipart/report", "message/delivery-status", "message/disposition-notification",
        "message/feedback-report",
    }  # fmt: skip


def _is_auto_submitted(parsed: ParsedMessage) -> bool:
    return _first_word(parsed, "auto-submitted") not in {"", "no"}


def _has_null_return_path(parsed: ParsedMessage) -> bool:
    return parsed.return_path == ""


def _lacks_from(parsed: ParsedMessage) -> bool:
    return parsed.from_ is None


def _has_several_from(parsed: ParsedMessage) -> bool:
    return Defect.SEVERAL_FROM.value in parsed.defects


def _is_list_mail(parsed: ParsedMessage) -> bool:
    return any(name in parsed.headers for name in _LIST_FIELDS)


def _is_bulk(parsed: ParsedMessage) -> bool:
    return _first_word(parsed, "precedence") in _BULK


def _suppresses_responses(parsed: ParsedMessage) -> bool:
    """[MS-OXCMAIL] 2.1.3.2.20: any value but ``None`` names responses that are not wanted."""
    return _first_word(parsed, "x-auto-response-suppress") not in {"", "none"}


def _has_auto_reply_field(parsed: ParsedMessage) -> bool:
    return any(_first_word(parsed, name) not in {"", "no", "false"} for name in _AUTO_REPLY_FIELDS)


def _is_from_system(parsed: ParsedMessage) -> bool:
    senders = [parsed.from_, parsed.sender, *parsed.reply_to[:1]]
    addresses = [sender.address for sender in senders if sender] + [parsed.return_path or ""]
    return any(is_system_address(address) for address in addresses)


_REASONS: Final[tuple[tuple[str, Callable[[ParsedMessage], bool]], ...]] = (
    ("loop", lambda parsed: _has_too_many_hops(parsed) or "x-loop" in parsed.headers),
    ("report", _is_report),
    ("auto-submitted", _is_auto_submitted),
    ("null-return-path", _has_null_return_path),
    ("no-valid-from", _lacks_from),
    ("several-from", _has_several_from),
    ("mailing-list", _is_list_mail),
    ("precedence", _is_bulk),
    ("auto-response-suppress", _suppresses_responses),
    ("auto-reply", is_auto_reply),
    ("system-sender", _is_from_system),
)
