"""What the start page shows, each part only to those whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from inbound.models import IncomingMessage
from mailaccounts.models import MailAccount
from masterdata import roles
from masterdata.selectors import company
from outbound.selectors import may_see_outbox, needing_attention
from tickets.models import Queue, Ticket

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHOWN_TICKETS = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the start page and where it leads."""

    value: int
    label: str | Promise
    url: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of setting the product up, and whether it is done."""

    label: str | Promise
    hint: str | Promise
    url: str
    is_done: bool


def tiles(user: User) -> list[Tile]:
    """The numbers that matter to the user."""
    shown: list[Tile] = []
    if roles.is_agent(user):
        shown += ticket_tiles(user)
    if may_see_outbox(user):
        unsent = needing_attention(user)
        shown.append(Tile(unsent.count(), _("Not delivered"), reverse("outbound:list"), "warn"))
    if roles.is_mail_administrator(user):
        shown += administrator_tiles(user)
    return shown


def ticket_tiles(user: User) -> list[Tile]:
    """Own and unassigned open tickets."""
    mine = Ticket.objects.visible_to(user).open()
    url = reverse("tickets:list")
    return [
        Tile(mine.filter(assignee=user).count(), _("Open tickets of mine"), f"{url}?assignee=me"),
        Tile(mine.filter(assignee=None).count(), _("Not assigned"), f"{url}?assignee=nobody"),
    ]


def administrator_tiles(user: User) -> list[Tile]:
    """Accounts whose last poll failed, and mail in quarantine."""
    failing = MailAccount.objects.visible_to(user).active().filter(health__error_code__gt="")
    quarantined = IncomingMessage.objects.visible_to(user).in_quarantine()
    return [
        Tile(failing.count(), _("Accounts with errors"), reverse("mailaccounts:list"), "bad"),
        Tile(quarantined.count(), _("In quarantine"), reverse("inbound:quarantine"), "warn"),
    ]


def next_tickets(user: User) -> QuerySet[Ticket]:
    """Open tickets that are the user's or nobody's, newest first."""
    tickets = Ticket.objects.visible_to(user).open().filter(Q(assignee=user) | Q(assignee=None))
    return tickets.select_related("queue", "customer").order_by("-last_message_at", "-id")[:SHOWN_TICKETS]


def first_steps(user: User) -> list[Step]:
    """What a mail administrator still has to set up; empty once everything is done."""
    if not roles.is_mail_administrator(user):
        return []
    basics = company()
    steps = [
        Step(
            _("Enter the company's name and main address"),
            _("They stand in every mail that the system writes itself."),
            reverse("masterdata:company"),
            bool(basics and basics.main_address),
        ),
        Step(
            _("Create a queue and say who works it"),
            _("Tickets wait in queues; agents see the tickets of theirs."),
            reverse("tickets:queue_list"),
            Queue.objects.filter(is_active=True, agents__isnull=False).exists(),
        ),
        Step(
            _("Connect a mailbox"),
            _("Address, password and server; the connection is tested before anything is read."),
            reverse("mailaccounts:create"),
            MailAccount.objects.active().exists(),
        ),
        Step(
            _("Turn its mail into tickets"),
            _("Switch on the ticket system in the account."),
            reverse("mailaccounts:list"),
            MailAccount.objects.active().filter(ticket_options__is_enabled=True).exists(),
        ),
    ]
    return [] if all(step.is_done for step in steps) else steps
