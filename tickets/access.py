"""Who works tickets, and in which queues they open them; which they see, ``visible_to`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from mailaccounts.models import MailAccount
from masterdata import roles
from tickets.models import Queue, TicketOptions

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def works_tickets(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Agents, and owners of a personal mailbox (or their substitutes today)."""
    return roles.is_agent(user) or (user.is_authenticated and MailAccount.objects.owned_by(user).exists())


def queues_to_open_in(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Queue]:
    """Active queues the user may open tickets in: granted ones, and the default queue of an own mailbox."""
    own = TicketOptions.objects.filter(account__in=MailAccount.objects.owned_by(user))
    granted = Queue.objects.granted_to(user)
    return Queue.objects.filter(
        Q(pk__in=granted.values("pk")) | Q(pk__in=own.values("default_queue")), is_active=True
    )
