"""Whether an automatic answer may go out (product §7, RFC 3834): one pure decision over plain facts.

The rules stand in order; the first that applies gives its code, which is stored and shown on the ticket.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from inbound.days import berlin_day
from mailkit.addresses import strip_tag
from mailkit.autosubmitted import autoreply_suppression_reason, is_auto_reply
from mailkit.parsing import ParsedMessage

ROLLING = timedelta(hours=20)
OLDEST = timedelta(hours=24)
DAILY_LIMIT = 5
HOURLY_LIMIT = 300
"""Answers of one account within an hour, whoever asks: a storm of forged senders must not go out through us
(T6).
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """The account's settings as they count here."""

    enabled_at: datetime | None
    once_a_day: bool
    restored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one incoming message. ``header_reason`` comes from mailkit; times are aware.

    ``answered_at`` are the automatic answers this sender got from this account within the last days, and
    ``answers_this_hour`` those of the account to anybody.
    """

    received_at: datetime
    now: datetime
    sender: str
    header_reason: str | None
    is_bounce: bool
    is_own: bool
    failed_authentication: bool
    answered_at: Sequence[datetime]
    answers_this_hour: int


def suppression_reason(facts: Facts, rules: Rules) -> str | None:
    """Code of the first rule that forbids an answer, or None where one may go out."""
    code = next((code for code, applies in _RULES if applies(facts, rules)), None)
    return facts.header_reason if code == _BY_HEADER else code


def sender_key(address: str) -> str:
    """The form in which senders are counted: ``Anna+Shop@Kunde.example`` is anna@kunde.example (B81)."""
    return strip_tag(address) if address else ""


def is_own_address(address: str, own: Collection[str]) -> bool:
    """Whether ``address`` is one of ours, whatever its case and tag; ``own`` holds sender keys."""
    return bool(address) and sender_key(address) in own


def header_reason(parsed: ParsedMessage, *, from_contact_form: bool) -> str | None:
    """What the message's own fields say against an answer.

    A contact form writes from a no-reply address on behalf of its Reply-To, so that one is judged (product
    §4); what the form says about being automatic still counts.
    """
    if from_contact_form:
        parsed = replace(
            parsed,
            from_=parsed.reply_to[0],
            sender=None,
            return_path="" if parsed.return_path == "" else None,
        )
    return autoreply_suppression_reason(parsed)


def is_automatic(parsed: ParsedMessage) -> bool:
    """Whether a responder wrote the message: worth a mark on the ticket."""
    return is_auto_reply(parsed)


def _received_before_enabled(facts: Facts, rules: Rules) -> bool:
    return rules.enabled_at is None or facts.received_at < rules.enabled_at


def _received_before_restore(facts: Facts, rules: Rules) -> bool:
    """The original may have answered it after the backup was made, which the backup does not know (R41)."""
    return rules.restored_at is not None and facts.received_at < rules.restored_at


def _answered_today(facts: Facts, rules: Rules) -> bool:
    today = berlin_day(facts.now)
    return rules.once_a_day and any(berlin_day(at) == today for at in facts.answered_at)


def _answered_recently(facts: Facts, rules: Rules) -> bool:
    """Also true for an answer "in the future": the clock was set back since."""
    return rules.once_a_day and any(facts.now - at < ROLLING for at in facts.answered_at)


def _answered_often(facts: Facts, _rules: Rules) -> bool:
    today = berlin_day(facts.now)
    return sum(berlin_day(at) >= today for at in facts.answered_at) >= DAILY_LIMIT


_BY_HEADER = "header"

Rule = Callable[[Facts, Rules], bool]

_RULES: tuple[tuple[str, Rule], ...] = (
    ("bounce", lambda facts, _rules: facts.is_bounce),
    ("own-address", lambda facts, _rules: facts.is_own),
    ("no-valid-sender", lambda facts, _rules: not facts.sender),
    (_BY_HEADER, lambda facts, _rules: facts.header_reason is not None),
    ("authentication-failed", lambda facts, _rules: facts.failed_authentication),
    ("received-before-enabled", _received_before_enabled),
    ("received-before-restore", _received_before_restore),
    ("too-old", lambda facts, _rules: facts.now - facts.received_at > OLDEST),
    ("already-answered-today", _answered_today),
    ("answered-within-20-hours", _answered_recently),
    ("sender-limit", _answered_often),
    ("account-limit", lambda facts, _rules: facts.answers_this_hour >= HOURLY_LIMIT),
)
