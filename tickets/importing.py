"""Incoming mails become messages of tickets, a batch at a time, with a constant number of queries.

:func:`plan_batch` does the reading and all CPU work outside a transaction; :func:`import_batch` writes the plan
inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailaccounts.models import MailAccount
from mailkit.addresses import Address
from mailkit.parsing import ParsedMessage
from outbound.models import OutgoingMessage
from tickets.models import TicketMessage, TicketOptions


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """One mail as inbound has read and judged it.

    ``sender`` is who the mail counts as written by (a contact form's Reply-To, product §4; None when there is no
    valid one), ``reply_address`` where answers go, ``delivered_to`` the own address it was sent to. ``marks`` are
    values of :class:`tickets.vocabulary.Mark`. ``received_at`` is the server's INTERNALDATE.
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


@dataclass(slots=True)
class PlannedMail:
    """What will become of one mail. ``number`` is "" for a bounce of a mail that belongs to no ticket."""

    mail: IncomingMail
    number: str
    is_new_ticket: bool
    marks: list[str]


@dataclass(slots=True)
class BatchPlan:
    """The plan of one batch, in the order of its mails; numbers of new tickets are reserved."""

    mails: list[PlannedMail]


def plan_batch(mails: Sequence[IncomingMail]) -> BatchPlan:
    """Decide where each mail belongs (product §10) and reserve numbers. Call outside a transaction."""
    raise NotImplementedError


def import_batch(plan: BatchPlan) -> list[TicketMessage | None]:
    """Write the plan inside the caller's transaction; one entry a mail, in order.

    None stands for a bounce whose outgoing mail belongs to no ticket: the outbox keeps it (R28).
    """
    raise NotImplementedError
