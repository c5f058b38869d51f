"""Reading tickets: what answers start from, and reading that is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from mailkit.addresses import Address as Mailbox
from tickets.models import Queue, Ticket, TicketMessage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User

    from outbound.selectors import Sender


@dataclass(frozen=True, slots=True)
class Warning:
    """Something to know before answering: ``code`` is a Mark, ``data`` its particulars."""

    code: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRecipients:
    """Whom an answer goes to by default."""

    to: list[Mailbox]
    cc: list[Mailbox]
    warnings: list[Warning]


def read_ticket(*, number: str, by: AbstractBaseUser) -> Ticket:
    """The ticket for reading its content; a superuser's reading is recorded.

    Raises Ticket.DoesNotExist for a foreign or unknown number alike.
    """
    raise NotImplementedError


def answer_sender(ticket: Ticket) -> Sender:
    """The From address an answer starts with (product §4, Ausgehende E-Mailadresse; without account §3)."""
    raise NotImplementedError


def senders_for_answer(*, ticket: Ticket, by: AbstractBaseUser) -> list[Sender]:
    """From addresses the user may answer this ticket with; :func:`answer_sender` comes first."""
    raise NotImplementedError


def answer_recipients(ticket: Ticket, *, to_all: bool = False) -> AnswerRecipients:
    """Whom an answer goes to: Reply-To, else From of the last incoming mail; ``to_all`` adds its To and Cc.

    Own addresses are left out. A Reply-To that is not the sender's address warns (B64).
    """
    raise NotImplementedError


def last_incoming(ticket: Ticket) -> TicketMessage | None:
    """The mail an answer replies to: the newest one a person wrote."""
    raise NotImplementedError


def assignable_users(queue: Queue, *, ticket: Ticket | None = None) -> QuerySet[User]:
    """Who may be given a ticket of that queue: its agents, and the owners of the ticket's personal account."""
    raise NotImplementedError
