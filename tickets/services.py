"""What people and other rooms do with tickets. Every service refuses tickets its user may not see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from uuid import UUID

from mailkit.addresses import Address as Mailbox
from mailkit.building import Attachment as AttachedFile
from masterdata.models import Address, Project
from tickets.models import Queue, Ticket, TicketEvent, TicketMessage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User


class TicketChanges(TypedDict, total=False):
    """Fields :func:`change_ticket` takes; those left out stay as they are."""

    state: str
    priority: int
    queue: Queue
    assignee: User | None
    project: Project | None
    customer: Address | None


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
    Raises PermissionDenied (ticket or From address not the user's), ``outbound.selectors.NoTransport``,
    ``mailkit.errors.InvalidAddress`` and ``InvalidArgument``.
    """
    raise NotImplementedError


def add_note(*, ticket: Ticket, by: AbstractBaseUser, text: str, submission: UUID | None = None) -> TicketMessage:
    """Add an internal note. Raises PermissionDenied."""
    raise NotImplementedError


def change_ticket(*, ticket: Ticket, by: AbstractBaseUser, **changes: Unpack[TicketChanges]) -> Ticket:
    """Change properties of the ticket, each with an event; what is equal already makes none.

    Raises PermissionDenied, and ValidationError (field → message) for an assignee who may not work the queue.
    """
    raise NotImplementedError


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
    """Open a ticket by writing to somebody. Raises as :func:`reply` does."""
    raise NotImplementedError


def record_event(
    ticket: Ticket, code: str, *, by: AbstractBaseUser | None = None, data: Mapping[str, Any] | None = None
) -> TicketEvent:
    """Append one line to the ticket's history; ``by`` None means the system."""
    raise NotImplementedError


def new_event(
    ticket_id: int, code: str, *, by: AbstractBaseUser | None = None, data: Mapping[str, Any] | None = None
) -> TicketEvent:
    """An unsaved event for :func:`record_events`."""
    raise NotImplementedError


def record_events(events: Iterable[TicketEvent]) -> list[TicketEvent]:
    """Save many events at once."""
    raise NotImplementedError
