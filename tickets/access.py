"""Who has anything to do with tickets at all; which tickets, ``Ticket.objects.visible_to`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailaccounts.models import MailAccount
from masterdata import roles

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def works_tickets(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Agents, and owners of a personal mailbox (or their substitutes today)."""
    return roles.is_agent(user) or (user.is_authenticated and MailAccount.objects.owned_by(user).exists())
