"""Writing mail from tickets: composed before the transaction, then queued and put on the ticket in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from mailaccounts.selectors import account_for_address, all_own_addresses
from mailkit.addresses import Address as Mailbox
from mailkit.addresses import normalise
from mailkit.building import Attachment as AttachedFile
from mailkit.parsing import parse_message
from masterdata.models import Address, Project
from outbound.composing import ComposedMail
from outbound.drafts import Draft
from outbound.models import OutgoingMessage
from outbound.selectors import may_send_from, message_id_domain
from outbound.services import compose, queue_composed
from tickets import threads
from tickets.attachments import attachment_rows
from tickets.customers import match_customers
from tickets.history import new_event, record_events
from tickets.models import Attachment, Participant, Queue, Ticket, TicketMessage
from tickets.numbering import berlin_today, reserve
from tickets.rights import record_superuser, require_queue, require_visible
from tickets.selectors import answered_message, may_answer_from
from tickets.storable import storable
from tickets.tokens import make_message_id
from tickets.vocabulary import Event

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

State = Ticket.State


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A mail ready to be queued, with what the ticket keeps of it."""

    draft: Draft
    composed: ComposedMail
    attachments: list[Attachment]
    participants: list[Participant]
    by: AbstractBaseUser
    submission: UUID | None


def reply(
    *,
    ticket: Ticket,
    by: AbstractBaseUser,
    from_address: str,
    to: Sequence[Mailbox],
    text: str,
    cc: Sequence[Mailbox] = (),
    bcc: Sequence[Mailbox] = (),
    attachments: Sequence[AttachedFile] = (),
    closes: bool = False,
    submission: UUID | None = None,
) -> TicketMessage:
    """Queue an answer and put it on the ticket, which then waits for the customer, or closes.

    ``submission`` identifies the form: the same one sent twice (double click) gives the first message again.
    Raises PermissionDenied (ticket or From address not the user's), ``outbound.errors.NoTransport``,
    ``mailkit.errors.InvalidAddress`` and ``InvalidArgument``.
    """
    require_visible(ticket, by)
    earlier = message_of(submission, by)
    if earlier:
        return earlier
    if not may_answer_from(ticket=ticket, by=by, address=from_address):
        raise PermissionDenied
    in_reply_to, references = threads.answer_headers(answered_message(ticket))
    draft = Draft(
        from_address=from_address,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=threads.answer_subject(ticket.subject, ticket.number),
        text=text,
        attachments=attachments,
        purpose=OutgoingMessage.Purpose.TICKET,
        in_reply_to=in_reply_to,
        references=references,
        message_id=make_message_id(ticket.number, message_id_domain(from_address)),
    )
    letter = _compose(draft, by, submission)
    return write_once(submission, by, lambda: _put_on(ticket, letter, closes=closes))


def create_ticket(
    *,
    by: AbstractBaseUser,
    from_address: str,
    to: Sequence[Mailbox],
    subject: str,
    text: str,
    queue: Queue,
    cc: Sequence[Mailbox] = (),
    bcc: Sequence[Mailbox] = (),
    project: Project | None = None,
    customer: Address | None = None,
    attachments: Sequence[AttachedFile] = (),
    closes: bool = False,
    submission: UUID | None = None,
) -> Ticket:
    """Open a ticket by writing to somebody. Raises as :func:`reply` does.

    Without ``customer`` the first recipient is looked for among the addresses of the master data.
    """
    account = account_for_address(from_address)
    require_queue(queue, by, account)
    earlier = message_of(submission, by)
    if earlier:
        return earlier.ticket
    if not may_send_from(by, from_address):
        raise PermissionDenied
    number = reserve(1, berlin_today())[0]
    draft = Draft(
        from_address=from_address,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=threads.opening_subject(subject, number),
        text=text,
        attachments=attachments,
        purpose=OutgoingMessage.Purpose.TICKET,
        message_id=make_message_id(number, message_id_domain(from_address)),
    )
    letter = _compose(draft, by, submission)
    ticket = _addressed_to(to)
    ticket.number, ticket.subject, ticket.account = number, storable(subject, 998), account
    ticket.queue, ticket.project = queue, project
    if customer:
        ticket.customer = customer
    return write_once(submission, by, lambda: _begin(ticket, letter, closes=closes)).ticket


def _addressed_to(to: Sequence[Mailbox]) -> Ticket:
    """An unsaved ticket of whoever is written to first, with the customer that address belongs to."""
    if not to:
        return Ticket()
    return Ticket(
        customer_id=_customer_of(to),
        requester_address=storable(to[0].address, 320),
        requester_name=storable(to[0].name, 200),
    )


def message_of(submission: UUID | None, by: AbstractBaseUser) -> TicketMessage | None:
    """The message that this form has written already. Raises PermissionDenied where somebody else sent it."""
    if submission is None:
        return None
    message = TicketMessage.objects.filter(submission=submission).select_related("ticket").first()
    if message and message.author_id != by.pk:
        raise PermissionDenied
    return message


def write_once(
    submission: UUID | None, by: AbstractBaseUser, write: Callable[[], TicketMessage]
) -> TicketMessage:
    """Run ``write`` in a transaction; of two at once with one ``submission`` the loser leaves no trace.

    The unique column decides: the loser's queued mail is rolled back with its message.
    """
    try:
        with transaction.atomic():
            return write()
    except IntegrityError:
        earlier = message_of(submission, by)
        if earlier is None:
            raise
        return earlier


def _compose(draft: Draft, by: AbstractBaseUser, submission: UUID | None) -> _Letter:
    """All the work that needs no transaction. The attachments' positions are those a download will find."""
    composed = compose(draft)
    return _Letter(
        draft=draft,
        composed=composed,
        attachments=attachment_rows(parse_message(composed.raw).attachments) if draft.attachments else [],
        participants=_recipients(draft),
        by=by,
        submission=submission,
    )


def _recipients(draft: Draft) -> list[Participant]:
    """Whom we write to takes part; colleagues' addresses do not, as anybody can claim to write from them."""
    own = all_own_addresses()
    names = {normalise(one.address): one.name for one in (*draft.to, *draft.cc, *draft.bcc)}
    return [
        Participant(address=storable(address, 320), name=storable(name, 200))
        for address, name in names.items()
        if address not in own
    ]


def _customer_of(to: Sequence[Mailbox]) -> int | None:
    matched = match_customers(one.address for one in to[:1])
    return next(iter(matched.values()), None)


def _put_on(ticket: Ticket, letter: _Letter, *, closes: bool) -> TicketMessage:
    locked = Ticket.objects.select_for_update(of=("self",), no_key=True).get(pk=ticket.pk)
    message = _send(locked, letter)
    state, before = (State.CLOSED if closes else State.WAITING_CUSTOMER), locked.state
    _leave_waiting(locked, message, state)
    locked.save(update_fields=["state", "closed_at", "stays_closed", "last_message_at"])
    answered = {"outgoing": message.outgoing_id, "closes": closes}
    events = [new_event(locked.pk, Event.ANSWERED, by=letter.by, data=answered)]
    if state != before:
        change = {"from": before, "to": state, "cause": "answer"}
        events.append(new_event(locked.pk, Event.STATE_CHANGED, by=letter.by, data=change))
    record_events(events)
    record_superuser("ticket.reply", locked, letter.by)
    return message


def _begin(ticket: Ticket, letter: _Letter, *, closes: bool) -> TicketMessage:
    ticket.created_at = ticket.last_message_at = timezone.now()
    ticket.state = State.CLOSED if closes else State.WAITING_CUSTOMER
    ticket.closed_at = ticket.created_at if closes else None
    ticket.save(force_insert=True)
    message = _send(ticket, letter)
    record_events([new_event(ticket.pk, Event.CREATED, by=letter.by, data={"origin": "person"})])
    record_superuser("ticket.create", ticket, letter.by)
    return message


def _leave_waiting(ticket: Ticket, message: TicketMessage, state: str) -> None:
    """A person has answered: from now on a reply reopens, also what was closed on import (product §4)."""
    ticket.state = state
    ticket.closed_at = message.at if state == State.CLOSED else None
    ticket.stays_closed = False
    ticket.last_message_at = max(ticket.last_message_at, message.at)


def _send(ticket: Ticket, letter: _Letter) -> TicketMessage:
    """Queue the mail, and keep it as a message with its attachments and recipients."""
    outgoing = queue_composed(letter.composed, by=letter.by)
    message = TicketMessage.objects.create(
        ticket=ticket,
        kind=TicketMessage.Kind.OUTGOING,
        author_id=letter.by.pk,
        from_name=outgoing.from_name,
        from_address=outgoing.from_address,
        to=_pairs(letter.draft.to),
        cc=_pairs(letter.draft.cc),
        subject=outgoing.subject,
        text=storable(letter.draft.text.replace("\r\n", "\n"), len(letter.draft.text)),
        message_id=threads.stored_id(outgoing.message_id),
        references=list(letter.draft.references),
        at=timezone.now(),
        raw_id=outgoing.raw_id,
        outgoing=outgoing,
        submission=letter.submission,
    )
    for attachment in letter.attachments:
        attachment.message = message
    Attachment.objects.bulk_create(letter.attachments)
    for participant in letter.participants:
        participant.ticket = ticket
    Participant.objects.bulk_create(letter.participants, ignore_conflicts=True)
    return message


def _pairs(mailboxes: Sequence[Mailbox]) -> list[list[str]]:
    return [[storable(one.name, 200), storable(one.address, 320)] for one in mailboxes]
