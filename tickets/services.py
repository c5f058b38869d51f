"""What people and other rooms do with tickets. Every service refuses tickets its user may not see."""

from tickets.answering import create_ticket, reply
from tickets.changing import TicketChanges, add_note, change_ticket
from tickets.history import new_event, record_event, record_events

__all__ = [
    "TicketChanges", "add_note", "change_ticket", "create_ticket", "new_event", "record_event",
    "record_events", "reply",
]  # fmt: skip
