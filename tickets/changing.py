"""Changing what a ticket is: state, priority, queue, assignee, project, customer; and internal notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from masterdata.models import Address, Project
from tickets.answering import message_of, write_once
from tickets.history import new_event, record_events
from tickets.models import Queue, Ticket, TicketEvent, TicketMessage
from tickets.rights import record_superuser, require_visible
from tickets.selectors import assignable_users
from tickets.storable import storable
from tickets.vocabulary import Event

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User

State = Ticket.State
_CODES: Final[Mapping[str, Event]] = {
    "state": Event.STATE_CHANGED,
    "priority": Event.PRIORITY_CHANGED,
    "queue": Event.QUEUE_CHANGED,
    "assignee": Event.ASSIGNEE_CHANGED,
    "project": Event.PROJECT_CHANGED,
    "customer": Event.CUSTOMER_CHANGED,
}


class TicketChanges(TypedDict, total=False):
    """Fields :func:`change_ticket` takes; those left out stay as they are."""

    state: str
    priority: int
    queue: Queue
    assignee: User | None
    project: Project | None
    customer: Address | None


def change_ticket(*, ticket: Ticket, by: AbstractBaseUser, **changes: Unpack[TicketChanges]) -> Ticket:
    """Change properties of the ticket, each with an event; what is equal already makes none.

    An assignee who may not work the new queue is taken off the ticket. Raises PermissionDenied, and
    ValidationError (field → message) for an unknown state or priority, an inactive queue, an assignee who may
    not work the queue.
    """
    require_visible(ticket, by)
    with transaction.atomic():
        locked = _locked(ticket)
        wanted = _completed(locked, _differing(locked, changes))
        events = [_change(locked, name, value, by) for name, value in wanted.items()]
        if events:
            locked.save(update_fields=[*wanted, "closed_at", "stays_closed"])
            record_events(events)
            record_superuser(
                "ticket.change", locked, by, **{e.code: [e.data["from"], e.data["to"]] for e in events}
            )
    return locked


def _locked(ticket: Ticket) -> Ticket:
    tickets = Ticket.objects.select_for_update(of=("self",), no_key=True)
    return tickets.select_related("queue", "assignee", "project", "customer", "account").get(pk=ticket.pk)


def add_note(
    *, ticket: Ticket, by: AbstractBaseUser, text: str, submission: UUID | None = None
) -> TicketMessage:
    """Add an internal note; it never leaves the house. Raises PermissionDenied."""
    require_visible(ticket, by)
    earlier = message_of(submission, by)
    return earlier or write_once(submission, by, lambda: _write_note(ticket, by, text, submission))


def _write_note(ticket: Ticket, by: AbstractBaseUser, text: str, submission: UUID | None) -> TicketMessage:
    message = TicketMessage.objects.create(
        ticket=ticket,
        kind=TicketMessage.Kind.NOTE,
        author_id=by.pk,
        text=storable(text.replace("\r\n", "\n"), len(text)),
        at=timezone.now(),
        submission=submission,
    )
    record_events([new_event(ticket.pk, Event.NOTED, by=by)])
    record_superuser("ticket.note", ticket, by)
    return message


def _differing(ticket: Ticket, changes: Mapping[str, Any]) -> dict[str, Any]:
    unknown = changes.keys() - _CODES.keys()
    if unknown:
        raise TypeError(f"change_ticket knows no {', '.join(sorted(unknown))}")
    return {name: value for name, value in changes.items() if getattr(ticket, name) != value}


def _completed(ticket: Ticket, wanted: dict[str, Any]) -> dict[str, Any]:
    """Check the values against each other, and take off an assignee whom a move leaves behind."""
    for name, check in _CHECKS.items():
        if name in wanted:
            check(wanted[name])
    if not wanted.keys() & {"queue", "assignee"}:
        return wanted
    queue, assignee = wanted.get("queue", ticket.queue), wanted.get("assignee", ticket.assignee)
    if assignee is None or assignable_users(queue, ticket=ticket).filter(pk=assignee.pk).exists():
        return wanted
    if wanted.get("assignee") is not None:
        raise ValidationError(
            {"assignee": _("This person does not work the queue %(queue)s.") % {"queue": queue}}
        )
    return wanted | {"assignee": None}


def _check_state(value: str) -> None:
    if value not in State.values:
        raise ValidationError({"state": _("There is no such state.")})


def _check_priority(value: int) -> None:
    if value not in Ticket.Priority.values:
        raise ValidationError({"priority": _("There is no such priority.")})


def _check_queue(value: Queue) -> None:
    if not value.is_active:
        raise ValidationError({"queue": _("This queue takes no tickets any more.")})


_CHECKS: Final[Mapping[str, Callable[[Any], None]]] = {
    "state": _check_state,
    "priority": _check_priority,
    "queue": _check_queue,
}


def _change(ticket: Ticket, name: str, value: Any, by: AbstractBaseUser) -> TicketEvent:
    before = getattr(ticket, name)
    setattr(ticket, name, value)
    if name == "state":
        _close_or_reopen(ticket)
    data = {"from": _label(before), "to": _label(value)}
    return new_event(ticket.pk, _CODES[name], by=by, data=data)


def _close_or_reopen(ticket: Ticket) -> None:
    """A person has decided: from now on a reply reopens (product §4)."""
    ticket.closed_at = timezone.now() if ticket.state == State.CLOSED else None
    ticket.stays_closed = False


def _label(value: Any) -> str | int:
    if value is None:
        return ""
    if hasattr(value, "get_full_name"):
        return str(value.get_full_name() or value.get_username())
    return value if isinstance(value, str | int) else str(value)
