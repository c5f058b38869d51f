"""Writing the history of tickets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from jobs.inserting import insert_rows
from tickets.models import Ticket, TicketEvent
from tickets.storable import storable

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

_LONGEST_VALUE = 1_000


def record_event(
    ticket: Ticket, code: str, *, by: AbstractBaseUser | None = None, data: Mapping[str, Any] | None = None
) -> TicketEvent:
    """Append one line to the ticket's history; ``by`` None means the system."""
    event = new_event(ticket.pk, code, by=by, data=data)
    event.save(force_insert=True)
    return event


def new_event(
    ticket_id: int,
    code: str,
    *,
    by: AbstractBaseUser | None = None,
    data: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> TicketEvent:
    """An unsaved event for :func:`record_events`; strings in ``data`` are made fit for the database."""
    plain = {key: _plain(value) for key, value in (data or {}).items()}
    actor_id = by.pk if by else None
    return TicketEvent(ticket_id=ticket_id, at=at or timezone.now(), actor_id=actor_id, code=code, data=plain)


def record_events(events: Iterable[TicketEvent]) -> list[TicketEvent]:
    """Save many events at once."""
    rows = list(events)
    insert_rows(rows)
    return rows


def _plain(value: Any) -> Any:
    return storable(value, _LONGEST_VALUE) if isinstance(value, str) else value
