"""Incoming mails become messages of tickets, a batch at a time, with a constant number of queries.

:func:`plan_batch` does the reading and all CPU work outside a transaction; :func:`import_batch` writes the
plan inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime

from jobs.bulk import update_rows
from jobs.inserting import insert_rows
from tickets.history import new_event, record_events
from tickets.joining import IncomingMail, KnownTicket, state_after_mail
from tickets.models import Ticket, TicketEvent, TicketMessage
from tickets.planning import BatchPlan, Entry, PlannedMail, plan_batch
from tickets.vocabulary import Event

__all__ = ["BatchPlan", "Entry", "IncomingMail", "PlanOutdated", "PlannedMail", "import_batch", "plan_batch"]


class PlanOutdated(Exception):
    """A ticket of the plan is gone since it was made: plan the batch again."""


def import_batch(plan: BatchPlan) -> list[TicketMessage | None]:
    """Write the plan inside the caller's transaction; one entry a mail, in order.

    None stands for a bounce whose outgoing mail belongs to no ticket: the outbox keeps it (R28). Joined
    tickets are locked in the order of their ids, and their state is judged as it is then. Raises
    :class:`PlanOutdated`.
    """
    entries = plan.entries
    joined = _lock_joined(entries)
    tickets = joined | _create_tickets(entries)
    events = [event for entry in entries for event in _receive(entry, tickets[entry.ticket], plan.planned_at)]
    update_rows(list(set(joined.values())), ["state", "closed_at", "last_message_at"])
    _create_messages(entries, tickets)
    _create_participants(entries, tickets)
    _create_links(entries, tickets)
    record_events(events)
    return [one.entry.message if one.entry else None for one in plan.mails]


def _lock_joined(entries: list[Entry]) -> dict[KnownTicket, Ticket]:
    known = {entry.ticket for entry in entries if entry.ticket.id is not None}
    if not known:
        return {}
    ids = {ticket.id for ticket in known if ticket.id is not None}
    rows = Ticket.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",), no_key=True)
    by_id = {row.pk: row for row in rows}
    if len(by_id) < len(ids):
        raise PlanOutdated
    return {ticket: by_id[ticket.id] for ticket in known if ticket.id is not None}


def _create_tickets(entries: list[Entry]) -> dict[KnownTicket, Ticket]:
    new = {entry.ticket: entry.new_ticket for entry in entries if entry.new_ticket}
    insert_rows(list(new.values()))
    return new


def _receive(entry: Entry, ticket: Ticket, at: datetime) -> list[TicketEvent]:
    """What the mail does to its ticket, and the history of it."""
    if entry.new_ticket:
        return _beginning(entry, ticket, at)
    message = entry.message
    ticket.last_message_at = max(ticket.last_message_at, message.at)
    is_bounce = message.kind == TicketMessage.Kind.BOUNCE
    events = []
    if is_bounce:
        events.append(new_event(ticket.pk, Event.BOUNCED, data={"outgoing": message.outgoing_id}, at=at))
    before = ticket.state
    if not entry.is_quiet:
        ticket.state = state_after_mail(before, stays_closed=ticket.stays_closed)
    if ticket.state != before:
        ticket.closed_at = None
        data = {"from": before, "to": ticket.state, "cause": "bounce" if is_bounce else "mail"}
        events.append(new_event(ticket.pk, Event.STATE_CHANGED, data=data, at=at))
    return events


def _beginning(entry: Entry, ticket: Ticket, at: datetime) -> list[TicketEvent]:
    events = [new_event(ticket.pk, Event.CREATED, data={"origin": "mail"}, at=at)]
    if entry.related:
        data = {"number": entry.related.number, "reason": entry.link_reason}
        events.append(new_event(ticket.pk, Event.LINKED, data=data, at=at))
    return events


def _create_messages(entries: list[Entry], tickets: dict[KnownTicket, Ticket]) -> None:
    for entry in entries:
        entry.message.ticket = tickets[entry.ticket]
    insert_rows([entry.message for entry in entries])
    for entry in entries:
        for attachment in entry.attachments:
            attachment.message = entry.message
    insert_rows([one for entry in entries for one in entry.attachments])


def _create_participants(entries: list[Entry], tickets: dict[KnownTicket, Ticket]) -> None:
    for entry in entries:
        for participant in entry.participants:
            participant.ticket = tickets[entry.ticket]
    rows = [one for entry in entries for one in entry.participants]
    insert_rows(rows, ignore_conflicts=True)


def _create_links(entries: list[Entry], tickets: dict[KnownTicket, Ticket]) -> None:
    """Link tickets both ways, as a symmetrical relation stores it."""
    pairs = []
    for entry in entries:
        if entry.related:
            this, other = tickets[entry.ticket].pk, entry.related.id or tickets[entry.related].pk
            pairs += [(this, other), (other, this)]
    link = Ticket.related.through
    rows = [link(from_ticket_id=one, to_ticket_id=other) for one, other in dict.fromkeys(pairs)]
    insert_rows(rows, ignore_conflicts=True)
