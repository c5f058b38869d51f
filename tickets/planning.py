"""The plan of a batch: who belongs where, and the rows to be written, made before the transaction begins."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from mailaccounts.selectors import all_own_addresses
from mailkit.addresses import Address, normalise
from mailkit.autosubmitted import is_auto_reply
from mailkit.defects import Defect
from outbound.models import OutgoingMessage
from tickets import threads
from tickets.attachments import attachment_rows
from tickets.customers import match_customers
from tickets.joining import IncomingMail, Known, KnownMessage, KnownTicket, Placement, place
from tickets.known import read_known
from tickets.models import Attachment, Participant, Ticket, TicketMessage
from tickets.numbering import berlin_today, reserve
from tickets.queues import fallback_queue_id
from tickets.storable import storable
from tickets.vocabulary import Mark

TEXT_CHARS = 1_000_000
HTML_CHARS = 2_000_000  # what the sanitiser reads (mailkit.limits.MAX_HTML_CHARS)
# Mail to more people than this is a circular, whose readers do not take part in a ticket (B74).
MOST_PARTICIPANTS = 50

_DEFECT_MARKS = {
    Defect.SEVERAL_FROM.value: Mark.SEVERAL_SENDERS,
    Defect.ADDRESS_IN_DISPLAY_NAME.value: Mark.ADDRESS_IN_DISPLAY_NAME,
    Defect.INVALID_FROM.value: Mark.INVALID_SENDER,
    Defect.MISSING_FROM.value: Mark.INVALID_SENDER,
}
# What concerns one message and says nothing about the ticket it begins.
_ONLY_MESSAGE = frozenset({Mark.TEXT_CUT, Mark.REPLY_TO_ELSEWHERE})


@dataclass(slots=True)
class Entry:
    """The rows of one mail; ``new_ticket`` is None where it joins one that exists or begins in this batch.

    ``is_quiet``: it makes nobody act, so it neither reopens a ticket nor ends its waiting (R37).
    """

    ticket: KnownTicket
    message: TicketMessage
    attachments: list[Attachment]
    participants: list[Participant]
    new_ticket: Ticket | None
    related: KnownTicket | None
    link_reason: str
    is_quiet: bool


@dataclass(slots=True)
class PlannedMail:
    """What will become of one mail; ``entry`` is None for the bounce of a mail that belongs to no ticket."""

    mail: IncomingMail
    marks: list[str]
    entry: Entry | None

    @property
    def number(self) -> str:
        """Number of the ticket the mail will be found under; "" for none."""
        return self.entry.ticket.number if self.entry else ""

    @property
    def is_new_ticket(self) -> bool:
        """Whether the mail begins a ticket."""
        return self.entry is not None and self.entry.new_ticket is not None


@dataclass(slots=True)
class BatchPlan:
    """The plan of one batch, in the order of its mails; numbers of new tickets are reserved."""

    mails: list[PlannedMail]
    planned_at: datetime

    @property
    def entries(self) -> list[Entry]:
        """What is to be written, in order."""
        return [one.entry for one in self.mails if one.entry]


@dataclass(frozen=True, slots=True)
class _Context:
    known: Known
    own: frozenset[str]
    customers: dict[str, int]
    fallback_queue: int
    now: datetime


def plan_batch(mails: Sequence[IncomingMail]) -> BatchPlan:
    """Decide where each mail belongs (product §10) and prepare its rows. Call outside a transaction.

    A mail may join a ticket that an earlier one of the same batch begins. Takes a constant number of queries.
    """
    context = _read_context(mails)
    planned = [_plan(mail, context) for mail in mails]
    plan = BatchPlan(planned, context.now)
    _number([entry for entry in plan.entries if entry.new_ticket])
    return plan


def _number(beginning: Sequence[Entry]) -> None:
    for entry, number in zip(beginning, reserve(len(beginning), berlin_today()), strict=True):
        entry.ticket.number = number
        if entry.new_ticket:
            entry.new_ticket.number = number


def _read_context(mails: Sequence[IncomingMail]) -> _Context:
    needs_queue = any(mail.options.default_queue_id is None for mail in mails)
    return _Context(
        known=read_known(mails),
        own=all_own_addresses(),
        customers=match_customers(mail.sender.address for mail in mails if mail.sender),
        fallback_queue=fallback_queue_id() if needs_queue else 0,
        now=timezone.now(),
    )


def _plan(mail: IncomingMail, context: _Context) -> PlannedMail:
    placement = place(mail, context.known, reopen_days=settings.TICKET_REOPEN_DAYS)
    if placement.is_nowhere:
        return PlannedMail(mail, [str(Mark.BOUNCE)], None)
    marks = _marks(mail, placement, context.own)
    entry = _entry(mail, placement, marks, context)
    _remember(entry, context.known)
    return PlannedMail(mail, marks, entry)


def _entry(mail: IncomingMail, placement: Placement, marks: list[str], context: _Context) -> Entry:
    new_ticket = None if placement.ticket else _new_ticket(mail, marks, context)
    return Entry(
        ticket=placement.ticket or _as_known(new_ticket),
        new_ticket=new_ticket,
        message=_message(mail, marks, context.now),
        attachments=attachment_rows(mail.parsed.attachments),
        participants=_participants(mail, placement, context.own),
        related=placement.related,
        link_reason=placement.marks[0] if placement.related else "",
        is_quiet=placement.is_our_own or _is_quiet(mail, marks),
    )


def _marks(mail: IncomingMail, placement: Placement, own: frozenset[str]) -> list[str]:
    is_bounce = mail.is_bounce or mail.bounce_of is not None
    found: list[str] = [*mail.marks, *placement.marks]
    found += [_DEFECT_MARKS[code] for code in mail.parsed.defects if code in _DEFECT_MARKS]
    facts = {
        Mark.INVALID_SENDER: mail.sender is None and not is_bounce,
        Mark.BOUNCE: is_bounce,
        Mark.AUTOMATIC: not is_bounce and is_auto_reply(mail.parsed),
        Mark.OWN_ADDRESS_AS_SENDER: mail.sender_key in own,
        Mark.OWN_ADDRESS_AS_NAME: _imitates(mail, own),
        Mark.REPLY_TO_ELSEWHERE: _answers_go_elsewhere(mail),
        Mark.TEXT_CUT: len(mail.parsed.text) > TEXT_CHARS or len(mail.parsed.html) > HTML_CHARS,
    }
    found += [mark for mark, holds in facts.items() if holds]
    return [str(mark) for mark in dict.fromkeys(found)]


def _imitates(mail: IncomingMail, own: frozenset[str]) -> bool:
    """Whether the display name shows one of our addresses over somebody else's mail (B62)."""
    author = mail.parsed.from_
    if author is None or "@" not in author.name or normalise(author.address) in own:
        return False
    shown = "".join(c for c in unicodedata.normalize("NFKC", author.name) if unicodedata.category(c) != "Cf")
    name = shown.lower()
    return any(address in name for address in own)


def _answers_go_elsewhere(mail: IncomingMail) -> bool:
    if mail.sender is None or mail.reply_address is None:
        return False
    return normalise(mail.reply_address.address) != mail.sender_key


def _is_quiet(mail: IncomingMail, marks: list[str]) -> bool:
    """Whether nobody is waiting for anything now: automatic answers, and bounces of our automatic answers."""
    if mail.bounce_of is not None:
        return mail.bounce_of.purpose == OutgoingMessage.Purpose.AUTO_REPLY
    return Mark.AUTOMATIC in marks


def _new_ticket(mail: IncomingMail, marks: list[str], context: _Context) -> Ticket:
    options, at = mail.options, min(mail.received_at, context.now)
    closes = options.closes_on_import
    return Ticket(
        subject=storable(mail.parsed.subject, 998),
        state=Ticket.State.CLOSED if closes else Ticket.State.NEW,
        queue_id=options.default_queue_id or context.fallback_queue,
        project_id=options.default_project_id,
        customer_id=context.customers.get(mail.sender_key),
        account=mail.account,
        requester_address=storable(mail.sender.address, 320) if mail.sender else "",
        requester_name=storable(mail.sender.name, 200) if mail.sender else "",
        created_at=at,
        last_message_at=at,
        closed_at=context.now if closes else None,
        stays_closed=closes,
        marks=[mark for mark in marks if mark not in _ONLY_MESSAGE],
    )


def _as_known(ticket: Ticket | None) -> KnownTicket:
    if ticket is None:
        return KnownTicket()
    return KnownTicket(
        state=ticket.state,
        closed_at=ticket.closed_at,
        stays_closed=ticket.stays_closed,
        account_id=ticket.account_id,
    )


def _message(mail: IncomingMail, marks: list[str], now: datetime) -> TicketMessage:
    parsed, sender = mail.parsed, mail.sender or Address("", "")
    return TicketMessage(
        kind=TicketMessage.Kind.BOUNCE if mail.is_bounce or mail.bounce_of else TicketMessage.Kind.INCOMING,
        from_name=storable(sender.name, 200),
        from_address=storable(sender.address, 320),
        reply_to=storable(mail.reply_address.address, 320) if mail.reply_address else "",
        to=_pairs(parsed.to),
        cc=_pairs(parsed.cc),
        delivered_to=storable(mail.delivered_to, 320),
        subject=storable(parsed.subject, 998),
        text=storable(parsed.text, TEXT_CHARS),
        untrusted_html=storable(parsed.html, HTML_CHARS),
        message_id=storable(threads.stored_id(parsed.message_id), 255),
        references=threads.kept_references(parsed),
        at=min(mail.received_at, now),
        raw_id=mail.raw_id,
        outgoing=mail.bounce_of,
        marks=marks,
    )


def _pairs(addresses: Iterable[Address]) -> list[list[str]]:
    return [[storable(one.name, 200), storable(one.address, 320)] for one in addresses]


def _participants(mail: IncomingMail, placement: Placement, own: frozenset[str]) -> list[Participant]:
    """Who takes part from now on: the sender, and whom the mail went to besides us.

    A stranger who merely holds a token brings nobody in, and neither does a bounce.
    """
    if not placement.sender_joins or mail.sender is None or mail.is_bounce:
        return []
    others = [one for one in (*mail.parsed.to, *mail.parsed.cc) if normalise(one.address) not in own]
    invited = others if len(others) <= MOST_PARTICIPANTS else []
    names: dict[str, str] = {}
    for one in (mail.sender, *invited):
        names.setdefault(normalise(one.address), one.name)
    return [
        Participant(address=storable(address, 320), name=storable(name, 200))
        for address, name in names.items()
    ]


def _remember(entry: Entry, known: Known) -> None:
    """Let later mails of the batch find this one and who takes part."""
    entry.ticket.participants.update(one.address for one in entry.participants)
    message = entry.message
    is_incoming = message.kind == TicketMessage.Kind.INCOMING
    sender = normalise(message.from_address)
    known.add_message(message.message_id, KnownMessage(entry.ticket, sender, is_incoming))
