"""Reading what a batch of mails may belong to, in three queries whatever the size of the batch."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from mailkit.addresses import normalise
from mailkit.threading import ticket_number_in_subject
from outbound.models import OutgoingMessage
from tickets.joining import IncomingMail, Known, KnownMessage, KnownTicket
from tickets.models import Participant, Ticket, TicketMessage
from tickets.threads import answered_ids, stored_id
from tickets.tokens import ticket_of

# An id that thousands of messages share is an attack or a broken mailer: the newest ones are enough.
_MOST_MESSAGES = 2_000


def read_known(mails: Sequence[IncomingMail]) -> Known:
    """Tickets and messages that ids, tokens and numbers in these mails point to."""
    ids = {
        one
        for mail in mails
        for one in (stored_id(mail.parsed.message_id), *answered_ids(mail.parsed))
        if one
    }
    bounced = {mail.bounce_of.pk: mail.bounce_of for mail in mails if mail.bounce_of}
    ids |= {stored_id(outgoing.message_id) for outgoing in bounced.values()}
    messages = _messages(ids, set(bounced))
    numbers = {ticket_of(one) for one in ids} | {
        ticket_number_in_subject(mail.parsed.subject) for mail in mails
    }
    tickets = _tickets({row.ticket_id for row in messages}, {number for number in numbers if number})
    _read_participants(tickets, {mail.sender_key for mail in mails if mail.sender})
    known = Known(tickets={ticket.number: ticket for ticket in tickets.values()})
    for row in messages:
        ticket = tickets[row.ticket_id]
        if row.outgoing_id:
            known.outgoing[row.outgoing_id] = ticket
        is_incoming = row.kind == TicketMessage.Kind.INCOMING
        known.add_message(row.message_id, KnownMessage(ticket, normalise(row.from_address), is_incoming))
    for outgoing in bounced.values():
        _find_first_sending(outgoing, messages, known)
    return known


def _find_first_sending(outgoing: OutgoingMessage, rows: Sequence[TicketMessage], known: Known) -> None:
    """A mail sent again is a row of its own in the outbox; the ticket holds the first sending, same id."""
    wanted = stored_id(outgoing.message_id)
    ticket = next(
        (
            known.outgoing[row.outgoing_id]
            for row in rows
            if row.outgoing_id and row.message_id == wanted and row.kind != TicketMessage.Kind.BOUNCE
        ),
        None,
    )
    if ticket:
        known.outgoing.setdefault(outgoing.pk, ticket)


def _messages(ids: set[str], outgoing_ids: set[int]) -> list[TicketMessage]:
    if not ids and not outgoing_ids:
        return []
    rows = TicketMessage.objects.filter(Q(message_id__in=ids) | Q(outgoing_id__in=outgoing_ids))
    columns = rows.only("message_id", "outgoing_id", "ticket_id", "kind", "from_address")
    return list(columns.order_by("-pk")[:_MOST_MESSAGES])


def _tickets(ids: set[int], numbers: set[str]) -> dict[int, KnownTicket]:
    if not ids and not numbers:
        return {}
    columns = ("id", "number", "state", "closed_at", "stays_closed", "account_id")
    rows = Ticket.objects.filter(Q(pk__in=ids) | Q(number__in=numbers)).values_list(*columns)
    return {row[0]: KnownTicket(*row) for row in rows}


def _read_participants(tickets: dict[int, KnownTicket], senders: set[str]) -> None:
    if not tickets or not senders:
        return
    rows = Participant.objects.filter(ticket_id__in=tickets, address__in=senders)
    for ticket_id, address in rows.values_list("ticket_id", "address"):
        tickets[ticket_id].participants.add(address)
