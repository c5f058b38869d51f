"""Automatic answers of one batch: decide and compose before the transaction, write inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from inbound import autoreply_text, autoresponder
from inbound.autoresponder import Facts, Rules
from inbound.days import berlin_day
from inbound.judging import Verdict, is_from_contact_form
from inbound.loops import loop_mark
from inbound.models import AutoReply, AutoresponderOptions
from inbound.visit import Visit
from jobs import instance
from jobs.inserting import insert_rows
from mailkit.addresses import Address
from mailkit.defects import Defect
from mailkit.errors import MailError
from mailkit.parsing import ParsedMessage
from outbound.composing import ComposedMail
from outbound.drafts import Draft
from outbound.errors import NoTransport
from outbound.models import OutgoingMessage
from outbound.selectors import message_id_domain, transporting_account
from outbound.services import compose_many, queue_many
from tickets import tokens
from tickets.history import new_event, record_events
from tickets.importing import IncomingMail, PlannedMail
from tickets.models import TicketEvent, TicketMessage
from tickets.vocabulary import Event, Mark

SENT = "answered"
NO_TRANSPORT = "no-transport"
_LOOK_BACK = timedelta(hours=49)
"""Two Berlin days, the longer one of autumn among them, hold every answer that still counts."""


@dataclass(slots=True)
class Answer:
    """The decision about one message; ``composed`` is what goes out, None where ``reason`` forbids it."""

    verdict: Verdict
    mail: IncomingMail
    key: str
    reason: str
    decided_at: datetime
    html: str = ""
    text: str = ""
    composed: ComposedMail | None = None

    @property
    def recipient(self) -> str:
        """Address the answer goes to; decided for messages with a valid sender only."""
        return self.mail.sender.address if self.mail.sender else ""


class History:
    """Answers of the account that still count against the limits; decisions of this batch are added as they
    fall. Read when a message comes as far as the limits: most of an old mailbox does not.
    """

    def __init__(self, visit: Visit, keys: Iterable[str], now: datetime) -> None:
        self.now = now
        self._keys = set(keys)
        self._sent = AutoReply.objects.filter(account=visit.account, is_sent=True)

    @cached_property
    def _by_sender(self) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        counted = self._sent.filter(sender__in=self._keys, decided_at__gt=self.now - _LOOK_BACK)
        for sender, at in counted.values_list("sender", "decided_at"):
            found.setdefault(sender, []).append(at)
        return found

    @cached_property
    def this_hour(self) -> int:
        """Answers to anybody."""
        return self._sent.filter(decided_at__gt=self.now - timedelta(hours=1)).count()

    def of(self, key: str) -> list[datetime]:
        """When that sender was answered."""
        return self._by_sender.get(key, [])

    def add(self, key: str) -> None:
        """Count one more answer, given now."""
        self._by_sender.setdefault(key, []).append(self.now)
        self.this_hour += 1


def decide(visit: Visit, planned: Sequence[tuple[Verdict, PlannedMail]]) -> list[Answer]:
    """Decide about each message that becomes part of a ticket, and compose what goes out.

    Empty while the account's autoresponder is off. Reads and CPU work: call it outside a transaction.
    """
    options = visit.autoresponder
    if options is None or not planned:
        return []
    rules = Rules(
        enabled_at=options.enabled_at, once_a_day=options.once_a_day, restored_at=instance.restored_at()
    )
    history = History(visit, [_key(mail.mail) for _, mail in planned], timezone.now())
    answers = [_decide_one(visit, rules, history, verdict, mail.mail) for verdict, mail in planned]
    numbers = {id(verdict): mail.number for verdict, mail in planned}
    _compose(visit, options, [answer for answer in answers if answer.reason == SENT], numbers)
    return answers


def save(visit: Visit, answers: Sequence[Answer], messages: dict[int, TicketMessage]) -> None:
    """Write decisions, queued answers, their place in the conversation and the events, in the caller's
    transaction.

    ``messages`` holds the imported message by ledger row.
    """
    if not answers:
        return
    going = [(answer, answer.composed) for answer in answers if answer.composed]
    outgoing = queue_many([composed for _, composed in going], by=None) if going else []
    by_answer = {id(answer): row for (answer, _), row in zip(going, outgoing, strict=True)}
    insert_rows([_auto_reply(visit, a, by_answer.get(id(a))) for a in answers])
    on_tickets = [(a, messages[a.verdict.row.pk]) for a in answers if a.verdict.row.pk in messages]
    insert_rows(
        [_ticket_message(a, message, by_answer[id(a)]) for a, message in on_tickets if id(a) in by_answer]
    )
    record_events(_event(a, message, by_answer.get(id(a))) for a, message in on_tickets)


def _key(mail: IncomingMail) -> str:
    return autoresponder.sender_key(mail.sender.address if mail.sender else "")


def _decide_one(visit: Visit, rules: Rules, history: History, verdict: Verdict, mail: IncomingMail) -> Answer:
    key = _key(mail)
    facts = _facts(visit, mail, key, history.now)
    reason = autoresponder.suppression_reason(facts, rules)
    if reason is None:
        counted = replace(facts, answered_at=history.of(key), answers_this_hour=history.this_hour)
        reason = autoresponder.suppression_reason(counted, rules)
    if reason is None:
        history.add(key)
    return Answer(verdict, mail, key, reason or SENT, history.now)


def _facts(visit: Visit, mail: IncomingMail, key: str, now: datetime) -> Facts:
    """What is known without counting; counting can only forbid more."""
    from_form = is_from_contact_form(mail.parsed, visit.options.contact_form_senders)
    return Facts(
        received_at=mail.received_at,
        now=now,
        sender=key,
        header_reason=autoresponder.header_reason(mail.parsed, from_contact_form=from_form),
        is_bounce=mail.is_bounce,
        is_own=autoresponder.is_own_address(key, visit.own_keys),
        failed_authentication=Mark.AUTHENTICATION_FAILED in mail.marks,
        answered_at=(),
        answers_this_hour=0,
    )


def _compose(
    visit: Visit, options: AutoresponderOptions, answers: Sequence[Answer], numbers: dict[int, str]
) -> None:
    """Compose what can leave; an answer that cannot leave must never hold up the import."""
    drafts = []
    for answer in answers:
        sender = answer_address(visit, answer.mail)
        domain = visit.sending_domain(sender, _sending_domain)
        if domain is None:
            answer.reason = NO_TRANSPORT
        else:
            drafts.append((answer, _draft(options, answer, numbers[id(answer.verdict)], sender, domain)))
    try:
        composed: Sequence[ComposedMail | None] = (
            compose_many([draft for _, draft in drafts]) if drafts else []
        )
    except (NoTransport, MailError):
        composed = [_compose_alone(answer, draft) for answer, draft in drafts]
    for (answer, _), mail in zip(drafts, composed, strict=True):
        answer.composed = mail


def _sending_domain(address: str) -> str | None:
    """Domain for Message-IDs of mail from the address; None where no account sends for it."""
    try:
        transporting_account(address)
    except NoTransport:
        return None
    return message_id_domain(address)


def _compose_alone(answer: Answer, draft: Draft) -> ComposedMail | None:
    try:
        return compose_many([draft])[0]
    except NoTransport:
        answer.reason = NO_TRANSPORT
    except MailError:
        answer.reason = "invalid-recipient"
    return None


def _draft(options: AutoresponderOptions, answer: Answer, number: str, sender: str, domain: str) -> Draft:
    parsed = answer.mail.parsed
    values = autoreply_text.variables(number=number, subject=parsed.subject)
    answer.html = autoreply_text.render_html(options.html, values)
    answer.text = autoreply_text.render_text(answer.html)
    answered_id = _answerable_id(parsed)
    return Draft(
        from_address=sender,
        to=[Address("", answer.recipient)],
        subject=autoreply_text.render_subject(options.subject, values),
        text=answer.text,
        html=answer.html,
        purpose=OutgoingMessage.Purpose.AUTO_REPLY,
        in_reply_to=answered_id,
        references=[*parsed.references, answered_id] if answered_id else [],
        message_id=tokens.make_message_id(number, domain),
        headers={
            "Auto-Submitted": "auto-replied",
            "X-Auto-Response-Suppress": "All",
            "X-Loop": loop_mark(),
        },
        envelope_sender="",
    )


def answer_address(visit: Visit, mail: IncomingMail) -> str:
    """From address of automatic answers (product §4): the own address written to, else the Sender
    E-Mailadresse.
    """
    smtp = getattr(visit.account, "smtp", None)
    if visit.options.answers_from_own_address:
        return mail.delivered_to or visit.account.email
    return (smtp.sender_address if smtp else "") or visit.account.email


def _answerable_id(parsed: ParsedMessage) -> str | None:
    """The Message-ID, unless it is one that had better not be repeated (B72)."""
    return None if Defect.INVALID_MESSAGE_ID in parsed.defects else parsed.message_id


def _auto_reply(visit: Visit, answer: Answer, outgoing: OutgoingMessage | None) -> AutoReply:
    once = visit.autoresponder is not None and visit.autoresponder.once_a_day
    return AutoReply(
        account=visit.account,
        incoming=answer.verdict.row,
        sender=answer.key,
        decided_at=answer.decided_at,
        is_sent=outgoing is not None,
        reason=answer.reason,
        day=berlin_day(answer.decided_at) if outgoing and once else None,
        outgoing=outgoing,
    )


def _ticket_message(answer: Answer, message: TicketMessage, outgoing: OutgoingMessage) -> TicketMessage:
    return TicketMessage(
        ticket_id=message.ticket_id,
        kind=TicketMessage.Kind.AUTO_REPLY,
        from_name=outgoing.from_name,
        from_address=outgoing.from_address,
        to=[["", recipient.address] for recipient in answer.composed.recipients] if answer.composed else [],
        subject=outgoing.subject,
        text=answer.text,
        untrusted_html=answer.html,
        message_id=outgoing.message_id,
        at=answer.decided_at,
        raw_id=outgoing.raw_id,
        outgoing=outgoing,
    )


def _event(answer: Answer, message: TicketMessage, outgoing: OutgoingMessage | None) -> TicketEvent:
    if outgoing:
        return new_event(message.ticket_id, Event.AUTOREPLY_SENT, data={"outgoing": outgoing.pk})
    return new_event(message.ticket_id, Event.AUTOREPLY_SUPPRESSED, data={"reason": answer.reason})
