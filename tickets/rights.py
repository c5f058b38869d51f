"""Rights that services check themselves, whatever page called them, and the record of a superuser's acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied

from audit import services as audit
from mailaccounts.models import MailAccount
from masterdata import roles
from tickets.models import Queue, Ticket

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def require_visible(ticket: Ticket, by: AbstractBaseUser) -> None:
    """Raises PermissionDenied unless the user may work the ticket."""
    if not Ticket.objects.visible_to(by).filter(pk=ticket.pk).exists():
        raise PermissionDenied


def require_queue(queue: Queue, by: AbstractBaseUser, account: MailAccount | None) -> None:
    """Raises PermissionDenied unless the user works that queue, or writes from a mailbox of their own."""
    if Queue.objects.granted_to(by).filter(pk=queue.pk).exists():
        return
    if account is None or not MailAccount.objects.owned_by(by).filter(pk=account.pk).exists():
        raise PermissionDenied


def record_superuser(action: str, ticket: Ticket, by: AbstractBaseUser, **changes: Any) -> None:
    """Record what a superuser does with other people's mail; nobody else's daily work is kept there."""
    if roles.is_superuser(by):
        audit.record(action=action, obj=ticket, by=by, changes=changes)
