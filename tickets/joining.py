"""Where an incoming mail belongs: the joining rules of product §10 (reliability T5, B65, B66, B69).

Pure decisions over what :mod:`tickets.known` has read; a mail joins a ticket only when its sender takes part
in that ticket or when it carries our signed token, never because it merely knows a number or an id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailaccounts.models import MailAccount
from mailkit.addresses import Address, normalise
from mailkit.parsing import ParsedMessage
from mailkit.threading import ticket_number_in_subject
from outbound.models import OutgoingMessage
from tickets.models import Ticket, TicketOptions
from tickets.threads import answered_ids, stored_id
from tickets.tokens import ticket_of
from tickets.vocabulary import Mark

State = Ticket.State


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """One mail as inbound has read and judged it.

    ``sender`` is who the mail counts as written by (a contact form's Reply-To, product §4; None when there is
    no valid one), ``reply_address`` where answers go, ``delivered_to`` the own address it was sent to.
    ``marks`` are values of :class:`tickets.vocabulary.Mark`. ``received_at`` is the server's INTERNALDATE.
    """

    parsed: ParsedMessage
    raw_id: int
    account: MailAccount
    options: TicketOptions
    received_at: datetime
    sender: Address | None
    reply_address: Address | None
    delivered_to: str = ""
    marks: tuple[str, ...] = ()
    bounce_of: OutgoingMessage | None = None
    is_bounce: bool = False

    @property
    def sender_key(self) -> str:
        """The sender's address for comparisons; "" for none."""
        return normalise(self.sender.address) if self.sender else ""

    @property
    def proven_sender(self) -> str:
        """The sender's address unless a trusted check says it is forged: then nobody's."""
        return "" if Mark.AUTHENTICATION_FAILED in self.marks else self.sender_key


@dataclass(slots=True, eq=False)
class KnownTicket:
    """What joining needs of a ticket; ``id`` None and ``number`` "" while it is new in this batch."""

    id: int | None = None
    number: str = ""
    state: str = State.NEW
    closed_at: datetime | None = None
    stays_closed: bool = False
    account_id: int | None = None
    participants: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message of a ticket that the mail may answer or be a copy of."""

    ticket: KnownTicket
    sender: str
    is_incoming: bool


@dataclass(slots=True)
class Known:
    """Tickets and messages that the mails of a batch could belong to; grows as the batch is planned."""

    tickets: dict[str, KnownTicket] = field(default_factory=dict)
    messages: dict[str, list[KnownMessage]] = field(default_factory=dict)
    outgoing: dict[int, KnownTicket] = field(default_factory=dict)

    def add_message(self, message_id: str, message: KnownMessage) -> None:
        """Remember a message, so that later mails of the batch find it."""
        if message_id:
            self.messages.setdefault(message_id, []).append(message)


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision: join ``ticket``, or make a new one (None), ``related`` to another; or neither.

    ``is_nowhere``: the bounce of a mail that belongs to no ticket. ``sender_joins``: the sender takes part
    from now on. ``is_our_own``: our answer, come back through another of our accounts.
    """

    ticket: KnownTicket | None = None
    related: KnownTicket | None = None
    marks: tuple[str, ...] = ()
    sender_joins: bool = True
    is_nowhere: bool = False
    is_our_own: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    ticket: KnownTicket
    is_signed: bool
    foreign_mark: Mark


def place(mail: IncomingMail, known: Known, *, reopen_days: int) -> Placement:
    """Decide where the mail belongs. ``reopen_days``: how long a closed ticket still takes answers."""
    if mail.bounce_of is not None:
        return _bounced(mail.bounce_of, known)
    foreign: _Candidate | None = None
    for candidate in _candidates(mail, known):
        takes_part = mail.proven_sender in candidate.ticket.participants
        if takes_part or candidate.is_signed:
            return _joined(mail, candidate.ticket, known, takes_part=takes_part, reopen_days=reopen_days)
        foreign = foreign or candidate
    if foreign:
        return Placement(related=foreign.ticket, marks=(foreign.foreign_mark,))
    return _second_copy(mail, known)


def _bounced(outgoing: OutgoingMessage, known: Known) -> Placement:
    ticket = known.outgoing.get(outgoing.pk)
    return Placement(ticket=ticket, sender_joins=False, is_nowhere=ticket is None)


def _candidates(mail: IncomingMail, known: Known) -> Iterator[_Candidate]:
    """Tickets the mail claims to belong to, the most telling claim first."""
    own = stored_id(mail.parsed.message_id)
    for message_id in [own, *answered_ids(mail.parsed)]:
        signed = known.tickets.get(ticket_of(message_id) or "")
        if signed:
            yield _Candidate(signed, is_signed=True, foreign_mark=Mark.FOREIGN_REFERENCE)
        if message_id != own:
            for message in known.messages.get(message_id, ()):
                yield _Candidate(message.ticket, is_signed=False, foreign_mark=Mark.FOREIGN_REFERENCE)
    named = known.tickets.get(ticket_number_in_subject(mail.parsed.subject) or "")
    if named:
        yield _Candidate(named, is_signed=False, foreign_mark=Mark.FOREIGN_NUMBER)


def _joined(
    mail: IncomingMail, ticket: KnownTicket, known: Known, *, takes_part: bool, reopen_days: int
) -> Placement:
    if _is_our_own(mail, ticket, known):
        return Placement(ticket, marks=(Mark.ALSO_SENT_TO,), sender_joins=False, is_our_own=True)
    if _is_long_closed(ticket, mail.received_at, timedelta(days=reopen_days)):
        return Placement(related=ticket, marks=(Mark.FOLLOW_UP,))
    marks = [] if takes_part else [Mark.TOKEN_FROM_UNKNOWN_SENDER]
    if any(copy.ticket is ticket for copy in _copies(mail, known)):
        marks.append(Mark.ALSO_SENT_TO)
    return Placement(ticket=ticket, marks=tuple(marks), sender_joins=takes_part)


def _is_our_own(mail: IncomingMail, ticket: KnownTicket, known: Known) -> bool:
    """Whether we wrote it: an answer of this ticket that went to another of our accounts as well."""
    sent = known.messages.get(stored_id(mail.parsed.message_id), ())
    return any(
        not message.is_incoming and message.ticket is ticket and message.sender == mail.proven_sender
        for message in sent
    )


def _is_long_closed(ticket: KnownTicket, at: datetime, limit: timedelta) -> bool:
    if ticket.state != State.CLOSED or ticket.stays_closed or ticket.closed_at is None:
        return False
    return at - ticket.closed_at > limit


def _second_copy(mail: IncomingMail, known: Known) -> Placement:
    """A new ticket, linked where the same mail came through another of our accounts (B73)."""
    for copy in _copies(mail, known):
        if copy.ticket.account_id != mail.account.pk:
            return Placement(related=copy.ticket, marks=(Mark.ALSO_SENT_TO,))
    return Placement()


def _copies(mail: IncomingMail, known: Known) -> Iterator[KnownMessage]:
    """Incoming messages with this mail's id and sender; an id alone proves nothing (B70)."""
    for message in known.messages.get(stored_id(mail.parsed.message_id), ()):
        if message.is_incoming and message.sender == mail.sender_key:
            yield message


def state_after_mail(state: str, *, stays_closed: bool) -> str:
    """State of a ticket that a person's mail (or the bounce of a person's answer) has joined.

    Whoever waited for the customer has something to do again, and a closed ticket reopens, unless it was
    closed on import and nobody has answered or reopened it since (product §4). Spam and trash stay where they
    are.
    """
    if state == State.WAITING_CUSTOMER or (state == State.CLOSED and not stays_closed):
        return State.OPEN
    return state
